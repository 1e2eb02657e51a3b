import { existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { DewyError, toDewyError } from "../../errors.ts";
import type { User } from "../../util/user.ts";
import { checkOwnership } from "./ownership.ts";

/** The names under an agent's working directory. */
export interface Layout {
  readonly root: string;
  readonly state: string;
  readonly history: string;
  readonly lock: string;
  readonly supervisor: string;
  /** The processes behind the proxy. */
  readonly replicas: string;
  /** Where the admin API listens. */
  readonly admin: string;
  /** What the last agent watched. */
  readonly agent: string;
  readonly retryRequest: string;
  readonly tmp: string;
  /** What people are still to be told. */
  readonly outbox: string;
  /** Where each trouble stands, so that it is not announced anew. */
  readonly troubles: string;
}

export function layoutOf(root: string): Layout {
  const own = join(root, ".dewy");
  return {
    root,
    state: join(own, "state.json"),
    history: join(own, "history.jsonl"),
    lock: join(own, "lock"),
    supervisor: join(own, "supervisor.json"),
    replicas: join(own, "replicas.json"),
    admin: join(own, "admin.json"),
    agent: join(own, "agent.json"),
    retryRequest: join(own, "retry"),
    tmp: join(own, "tmp"),
    outbox: join(own, "outbox"),
    troubles: join(own, "outbox", "limiter.json"),
  };
}

/**
 * Makes the directories an agent writes to; `filesystem` when this user can't. Links to the root are resolved, so
 * that a process of this agent is known by its working directory. `config-invalid` when the app's user could lead a
 * root agent elsewhere.
 */
export function prepareLayout(given: string, user: User | null = null): Layout {
  if (!existsSync(given)) {
    throw new DewyError("filesystem", `the working directory ${given} does not exist`, { hint: "create it" });
  }
  const root = realpathSync(given);
  if (root === "/") {
    throw new DewyError("config-invalid", "dewy would work in /", {
      hint: "start it in the app's directory (systemd: WorkingDirectory=), or name it with --root",
    });
  }
  try {
    if (!statSync(root).isDirectory()) throw new DewyError("config-invalid", `${root} is not a directory`);
    checkOwnership(root, user);
    mkdirSync(join(root, ".dewy"), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw toDewyError(error, `use ${root} as working directory`);
  }
  return layoutOf(root);
}
