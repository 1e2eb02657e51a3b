import { existsSync } from "node:fs";
import { isLocked } from "../agent/lock.ts";
import { DewyError, toDewyError } from "../errors.ts";
import { writeFileAtomic } from "../util/fs.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { renderJson } from "./render.ts";
import { readStatus } from "./status.ts";
import { renderStatus } from "./status-text.ts";

/** `dewy status`: what an agent left on disk, and what it says of its replicas if it runs; changes nothing. */
export async function showStatus(
  root: string,
  json: boolean,
  write: (text: string) => void,
): Promise<number> {
  const status = await readStatus(layoutWithAgent(root), { signal: new AbortController().signal });
  write(json ? renderJson(status) : renderStatus(status));
  return 0;
}

/** `dewy retry`: asks the agent of this directory, or the next one, to forget what failed. */
export function requestRetry(root: string, write: (text: string) => void): number {
  const layout = layoutWithAgent(root);
  try {
    writeFileAtomic(layout.retryRequest, "");
  } catch (error) {
    throw toDewyError(error, `write ${layout.retryRequest}`);
  }
  const when = isLocked(layout.lock) ? "at the agent's next check" : "when an agent is started";
  write(`Quarantine is lifted ${when}.\n`);
  return 0;
}

function layoutWithAgent(root: string): Layout {
  const layout = layoutOf(root);
  if (existsSync(layout.lock)) return layout;
  throw new DewyError("config-invalid", `no agent has run in ${root}`, {
    hint: "name the agent's working directory with --root",
  });
}
