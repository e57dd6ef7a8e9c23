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

/** Name the slots that have not the revision, and those where an override file decides the flag instead. */
export function unproven(instances, revision, flag) {
  const slots = (list) => list.map((each) => each.slot);
  return {
    missing: slots(instances.filter((each) => !has(each.acknowledged, revision))),
    overriding: slots(instances.filter((each) => each.overrides.includes(flag))),
  };
}

/** "workers" where all of them are, else "instances". */
export const noun = (instances) => (instances.every((each) => each.kind === "worker") ? "worker" : "instance");
