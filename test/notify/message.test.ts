import { describe, expect, test } from "bun:test";
import type { DeployEvent, HookResult } from "../../src/events.ts";
import { messageOf } from "../../src/notify/message.ts";

const deployed = {
  kind: "deployed",
  tag: "v1.2.3",
  fromTag: "v1.2.2",
  durationMs: 1534.4,
  how: "restarted",
  hasPort: true,
} as const;

const hook: HookResult = {
  command: "make migrate",
  stdout: "",
  stderr: "",
  exitCode: 0,
  durationMs: 250,
  timedOut: false,
};

const failed = { kind: "failed", tag: null, message: "no answer", hint: null, servingTag: null } as const;

const recovered = {
  kind: "recovered",
  trouble: "check",
  errors: 5,
  heldBack: 2,
  outages: 1,
  durationMs: 120_000,
} as const;

describe("an event in one plain line", () => {
  test.each<[DeployEvent, string]>([
    [
      { kind: "agent-started", version: "v2.0.0", command: "server" },
      "Automatic shipping started by Dewy (v2.0.0: server)",
    ],
    [
      { kind: "agent-stopping", reason: "Stop receiving by `terminated` signal" },
      "Stop receiving by `terminated` signal",
    ],
    [{ kind: "deploying", tag: "v1.2.3", command: "server" }, "Deploying v1.2.3 (server)"],
    [{ kind: "downloaded", tag: "v1.2.3" }, "Downloaded artifact for v1.2.3"],
    [deployed, "Server restarted for v1.2.3 (v1.2.2 → v1.2.3, 1.534s)"],
    [{ ...deployed, how: "started", fromTag: null }, "Server started for v1.2.3 (1.534s)"],
    [
      { ...deployed, how: "started", fromTag: null, hasPort: false },
      "Server started for v1.2.3 without port (1.534s)",
    ],
    [{ ...deployed, how: "placed", hasPort: false }, "Assets placed for v1.2.3 (v1.2.2 → v1.2.3, 1.534s)"],
    [{ kind: "hook", hook: "before", result: hook }, "The before deploy hook succeeded in 250ms"],
    [
      { kind: "hook", hook: "after", result: { ...hook, exitCode: 3 } },
      "The after deploy hook failed with exit code 3 after 250ms",
    ],
    [
      { kind: "hook", hook: "after", result: { ...hook, exitCode: null, timedOut: true } },
      "The after deploy hook timed out after 250ms",
    ],
    [
      { kind: "hook", hook: "after", result: { ...hook, exitCode: null } },
      "The after deploy hook was killed after 250ms",
    ],
    [{ kind: "restarted", signal: "SIGUSR1" }, "Restarted receiving by SIGUSR1 signal"],
    [
      { kind: "failed", tag: "v1.2.3", message: "it died", hint: "see its log", servingTag: "v1.2.2" },
      "Deploy of v1.2.3 failed: it died (v1.2.2 stays in place); see its log",
    ],
    [
      { kind: "failed", tag: null, message: "no answer", hint: null, servingTag: null },
      "Check failed: no answer (nothing is deployed yet)",
    ],
    [
      { kind: "quarantined", tag: "v1.2.3", digest: null, reason: "it died" },
      "Quarantined v1.2.3: its deploy failed: it died. It is not tried again until it changes or dewy retry is run",
    ],
    [
      {
        kind: "quarantined",
        tag: "v1.2.3",
        digest: null,
        reason: "it died",
        hint: "see its log",
        servingTag: "v1.2.2",
      },
      "Quarantined v1.2.3: its deploy failed: it died (v1.2.2 stays in place). It is not tried again until it changes or dewy retry is run",
    ],
    [
      { kind: "crashed", tag: "v1.2.3", reason: "killed by SIGSEGV", delayMs: 400.4 },
      "Server of v1.2.3 died: killed by SIGSEGV. Next start in 400ms",
    ],
    [
      {
        kind: "replica-lost",
        how: "died",
        tag: "v1.2.3",
        container: "web-1-0",
        reason: "it was killed",
        delayMs: 0,
      },
      "Container web-1-0 of v1.2.3 died: it was killed. It is replaced now",
    ],
    [
      {
        kind: "replica-lost",
        how: "sick",
        tag: "v1.2.3",
        container: "web-1-0",
        reason: "503",
        delayMs: 999.6,
      },
      "Container web-1-0 of v1.2.3 fails its checks: 503. It is replaced in 1s",
    ],
    [
      {
        kind: "replica-lost",
        how: "not-started",
        tag: "v1.2.3",
        container: null,
        reason: "no",
        delayMs: 2000,
      },
      "A container of v1.2.3 did not start: no. Next try in 2s",
    ],
    [
      {
        kind: "replica-lost",
        unit: "process",
        how: "died",
        tag: "v1.2.3",
        container: "web-1-0",
        reason: "it exited with code 3",
        delayMs: 0,
      },
      "Process web-1-0 of v1.2.3 died: it exited with code 3. It is replaced now",
    ],
    [{ kind: "pulled", tag: "v1.2.3" }, "Pulled image for v1.2.3"],
    [
      {
        kind: "deployed",
        tag: "v1.2.3",
        fromTag: "v1.2.2",
        durationMs: 1500,
        how: "rolled",
        hasPort: true,
      },
      "Container deployed successfully for v1.2.3 (v1.2.2 → v1.2.3, 1.5s)",
    ],
    [
      { kind: "crashed", tag: null, reason: "exited with code 1", delayMs: 60_000 },
      "Server of unknown version died: exited with code 1. Next start in 1m0s",
    ],
    [
      { ...failed, run: { count: 1, lastUntil: null } },
      "Error occurred (count: 1): Check failed: no answer (nothing is deployed yet)",
    ],
    [
      { ...failed, run: { count: 3, lastUntil: "over" } },
      "Error occurred (count: 3): Check failed: no answer (nothing is deployed yet). No more error notifications until it is over",
    ],
    [
      { ...failed, hint: "look there!", run: { count: 1, lastUntil: "calm" } },
      "Error occurred (count: 1): Check failed: no answer (nothing is deployed yet); look there! It comes and goes. No more error notifications until it has been calm for a while",
    ],
    [
      { kind: "crashed", tag: "v1.2.3", reason: "exit 1", delayMs: 1000, run: { count: 2, lastUntil: null } },
      "Error occurred (count: 2): Server of v1.2.3 died: exit 1. Next start in 1s",
    ],
    [
      { ...recovered, errors: 1, heldBack: 0, durationMs: 2_460_043 },
      "Recovered: checks pass again after 41m0s: 1 error",
    ],
    [{ ...recovered, errors: 1, heldBack: 0 }, "Recovered: checks pass again after 2m0s: 1 error"],
    [
      { ...recovered, trouble: "deploy" },
      "Recovered: deploys work again after 2m0s: 5 errors, 2 of them held back",
    ],
    [
      { ...recovered, trouble: "app", outages: 4 },
      "Recovered: the app runs again after 2m0s (it came and went 4 times): 5 errors, 2 of them held back",
    ],
    [{ kind: "dropped", count: 1 }, "1 notice was dropped"],
    [{ kind: "dropped", count: 12 }, "12 notices were dropped"],
  ])("%j", (event, text) => {
    expect(messageOf(event)).toBe(text);
  });
});
