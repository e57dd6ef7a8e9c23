// Answers questions with the published Node client: reads {baseUrl, headers, questions} and writes the details, as JSON.
import { text } from "node:stream/consumers";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { baseUrl, headers, questions } = JSON.parse(await text(process.stdin));
OpenFeature.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const ask = {
  boolean: client.getBooleanDetails,
  string: client.getStringDetails,
  number: client.getNumberDetails,
  object: client.getObjectDetails,
};
const details = [];
for (const [type, key, otherwise, context] of questions) {
  details.push(await ask[type].call(client, key, otherwise, context));
}
console.log(JSON.stringify(details));
