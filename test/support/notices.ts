import type { DeployEvent, HookResult } from "../../src/events.ts";
import type { Notice } from "../../src/notify/notice.ts";

export const hookResult: HookResult = {
  command: "make migrate",
  stdout: "12 tables",
  stderr: "",
  exitCode: 0,
  durationMs: 250,
  timedOut: false,
};

/** One event of every kind, errors with and without their count. A kind that is missing here does not compile. */
const byKind: { readonly [K in DeployEvent["kind"]]: DeployEvent & { kind: K } } = {
  "agent-started": { kind: "agent-started", version: "v2.0.0", command: "server" },
  "agent-stopping": { kind: "agent-stopping", reason: "Stop receiving by terminated signal" },
  deploying: { kind: "deploying", tag: "v1.2.3", command: "server" },
  downloaded: { kind: "downloaded", tag: "v1.2.3" },
  pulled: { kind: "pulled", tag: "v1.2.3" },
  deployed: {
    kind: "deployed",
    tag: "v1.2.3",
    fromTag: "v1.2.2",
    durationMs: 1534,
    how: "restarted",
    hasPort: true,
  },
  hook: { kind: "hook", hook: "before", result: hookResult },
  restarted: { kind: "restarted", signal: "SIGUSR1" },
  failed: {
    kind: "failed",
    tag: "v1.2.3",
    message: "it died",
    hint: "see its log",
    servingTag: "v1.2.2",
    run: { count: 3, lastUntil: "over" },
  },
  quarantined: { kind: "quarantined", tag: "v1.2.3", digest: null, reason: "it died" },
  "rolled-back": { kind: "rolled-back", tag: "v1.2.2", fromTag: "v1.2.3", reason: "it died" },
  stranded: {
    kind: "stranded",
    tag: "v1.2.3",
    reason: "it died in its soak",
    why: "no good release before it is known here",
    hint: "publish a fixed version",
  },
  crashed: { kind: "crashed", tag: "v1.2.3", reason: "killed by SIGSEGV", delayMs: 400 },
  "replica-lost": {
    kind: "replica-lost",
    how: "died",
    tag: "v1.2.3",
    container: "web-1-0",
    reason: "it was killed",
    delayMs: 0,
  },
  recovered: {
    kind: "recovered",
    trouble: "check",
    errors: 5,
    heldBack: 2,
    outages: 1,
    durationMs: 120_000,
  },
  dropped: { kind: "dropped", count: 12 },
};

export const events: readonly DeployEvent[] = Object.values(byKind);

export const failedHook = {
  kind: "hook",
  hook: "after",
  result: { ...hookResult, exitCode: 3, stderr: "no such table" },
} as const satisfies DeployEvent;

let made = 0;

/** As the outbox makes them: each id is greater than those before. */
export function noticeOf(event: DeployEvent, changes: Partial<Notice> = {}): Notice {
  made += 1;
  return {
    id: `${String(made).padStart(13, "0")}-0a1b2c3d`,
    at: "2026-11-21T09:36:46.000Z",
    host: "web1",
    command: "server",
    root: "/srv/app",
    thread: null,
    event,
    ...changes,
  };
}
