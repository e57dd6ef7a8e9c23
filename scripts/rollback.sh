#!/usr/bin/env bash
# Pulls the lever: `signalbox rollback`, found wherever this script was called from. Every argument is passed on.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: rollback.sh [OPTIONS]

Takes YAML messaging back to JSON everywhere, loses nothing, and proves it:

  1. disable   the flag is disabled and put on hold, and every queue refuses YAML from then on
  2. restart   workers that have not acknowledged within 3 s are restarted, and have to come back on JSON
  3. clear     YAML that waits in a queue is rewritten as JSON in place
  4. verify    stores, workers, a probe message through every domain, error rate, no YAML left anywhere
  5. complete  a signed receipt says what was done and found

Options, most used first (all of them: signalbox rollback --help):
  --yes              do not ask for the environment's name
  --reason TEXT      why; kept in the history and in the receipt
  --env NAME         environment; else SIGNALBOX_ENV, else that of the running `signalbox up`
  --flag KEY, --all  other flags than useYamlMessaging; every flag tagged `messaging`
  --dry-run          say what would be done, and change nothing
  --json             one JSON document a line, for machines

Exit: 0 verified safe · 1 done, but a check failed · 2 wrong usage · 3 not killed, and what to do instead
Run it again whenever in doubt: it finishes what an attempt before it has left.
HELP
}

for argument in "$@"; do
    case $argument in
        -h | --help)
            usage
            exit 0
            ;;
    esac
done

here=${BASH_SOURCE[0]}
while [[ -L $here ]]; do
    link=$(readlink "$here")
    if [[ $link == /* ]]; then here=$link; else here=$(dirname "$here")/$link; fi
done
root=$(cd "$(dirname "$here")/.." && pwd)

# Away from the folder of a running `signalbox up`: the one that this script belongs to is meant.
if [[ -z ${SIGNALBOX_REDIS_URL:-}${SIGNALBOX_DATA_DIR:-}${SIGNALBOX_READY_FILE:-} ]]; then
    if [[ ! -e .signalbox/ready.json && -e $root/.signalbox/ready.json ]]; then
        export SIGNALBOX_DATA_DIR=$root/.signalbox
    fi
fi

if [[ -x $root/.venv/bin/signalbox ]]; then
    exec "$root/.venv/bin/signalbox" rollback "$@"
fi
if command -v signalbox >/dev/null; then
    exec signalbox rollback "$@"
fi
for python in python3 python; do
    if command -v "$python" >/dev/null && (cd "$root" && "$python" -c 'import controlplane.cli.main') 2>/dev/null; then
        export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
        exec "$python" -m controlplane.cli rollback "$@"
    fi
done

echo "rollback.sh: signalbox is not installed here: run \`make setup\` in $root, or put \`signalbox\` on PATH." >&2
echo "Nothing was changed. Without it: set useYamlMessaging to json in the file that SIGNALBOX_OVERRIDES names." >&2
exit 3
