import { existsSync } from "node:fs";
import { isLocked, lockHolder } from "../agent/lock.ts";
import { readState, type State } from "../agent/state.ts";
import { DewyError, toDewyError } from "../errors.ts";
import { RecordFile } from "../supervisor/record.ts";
import { writeFileAtomic } from "../util/fs.ts";
import { layoutOf } from "./layout.ts";

interface Status {
  readonly root: string;
  /** Who holds the directory; null: no agent runs. */
  readonly agent: string | null;
  readonly current: State["current"];
  readonly previous: State["previous"];
  readonly processes: readonly {
    readonly pid: number | null;
    readonly generation: number;
    readonly release: string | null;
  }[];
  readonly quarantine: State["quarantine"];
  readonly failure: State["failure"];
}

/** `dewy status`: reads what an agent left on disk, changes nothing. */
export function showStatus(root: string, json: boolean, write: (text: string) => void): number {
  const status = readStatus(root);
  write(json ? `${JSON.stringify(status, null, 2)}\n` : render(status));
  return 0;
}

function readStatus(root: string): Status {
  const layout = layoutOf(root);
  if (!existsSync(layout.lock)) throw noAgent(root);
  const state = existsSync(layout.state) ? read(layout.state) : null;
  const running = isLocked(layout.lock);
  const record = running ? new RecordFile(layout.supervisor).read() : null;
  return {
    root,
    agent: running ? lockHolder(layout.lock) : null,
    current: state?.current ?? null,
    previous: state?.previous ?? null,
    processes: (record?.generations ?? []).map(({ pid, number, release }) => ({
      pid,
      generation: number,
      release,
    })),
    quarantine: state?.quarantine ?? [],
    failure: state?.failure ?? null,
  };
}

function read(path: string): State {
  try {
    return readState(path);
  } catch (error) {
    throw toDewyError(error, `read ${path}`);
  }
}

function render(status: Status): string {
  const { current, previous, failure } = status;
  const lines = [
    `Directory  ${status.root}`,
    `Agent      ${status.agent ?? "not running"}`,
    `Current    ${current === null ? "nothing deployed" : `${current.tag}, since ${current.since} (${current.release})`}`,
    ...(previous === null ? [] : [`Previous   ${previous.tag} (${previous.release})`]),
    ...status.processes.map(
      ({ pid, generation }) => `Process    pid ${pid ?? "?"}, generation ${generation}`,
    ),
    ...status.quarantine.map(({ tag, at, reason }) => `Quarantine ${tag}, since ${at}: ${reason}`),
    ...(failure === null
      ? []
      : [
          `Failing    ${failure.tag}, ${failure.count} times: ${failure.lastError}`,
          `           next try ${failure.nextTryAt}`,
        ]),
  ];
  if (status.quarantine.length > 0) lines.push("           `dewy retry` lifts the quarantine");
  return `${lines.join("\n")}\n`;
}

/** `dewy retry`: asks the agent of this directory, or the next one, to forget what failed. */
export function requestRetry(root: string, write: (text: string) => void): number {
  const layout = layoutOf(root);
  if (!existsSync(layout.lock)) {
    throw noAgent(root);
  }
  try {
    writeFileAtomic(layout.retryRequest, "");
  } catch (error) {
    throw toDewyError(error, `write ${layout.retryRequest}`);
  }
  const when = isLocked(layout.lock) ? "at the agent's next check" : "when an agent is started";
  write(`Quarantine is lifted ${when}.\n`);
  return 0;
}

function noAgent(root: string): DewyError {
  return new DewyError("config-invalid", `no agent has run in ${root}`, {
    hint: "name the agent's working directory with --root",
  });
}
