// Who has a revision: the page's own reading of the instances, for a change just made and for one flag's domains.

const parts = (revision) => {
  const [epoch, rev] = String(revision ?? "0-0").split("-");
  return { epoch, rev: Number(rev) };
};

/** Tell whether what was acknowledged is this revision or a later one of the same epoch. */
function has(acknowledged, revision) {
  const [mine, wanted] = [parts(acknowledged), parts(revision)];
  return mine.epoch === wanted.epoch && mine.rev >= wanted.rev;
}

/** Divide instances into those that have the revision in force and those that have not. */
export function divide(instances, revision, flag) {
  const acknowledged = [];
  const missing = [];
  for (const instance of instances) {
    const proven = has(instance.acknowledged, revision) && !(instance.overrides ?? []).includes(flag);
    (proven ? acknowledged : missing).push(instance);
  }
  return { acknowledged, missing };
}

/** "workers" where all of them are, else "instances". */
export const noun = (instances) => (instances.every((each) => each.kind === "worker") ? "worker" : "instance");
