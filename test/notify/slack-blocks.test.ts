import { describe, expect, test } from "bun:test";
import type { DeployEvent } from "../../src/events.ts";
import { renderNotice, type SlackBlock } from "../../src/notify/slack/blocks.ts";
import { isAlarm, toneOf } from "../../src/notify/slack/tone.ts";
import { events, failedHook, hookResult, noticeOf } from "../support/notices.ts";

const untitled = { title: null, titleUrl: null };
const context = "dewy server · /srv/app · <!date^1795253806^{date_num} {time_secs}|2026-11-21T09:36:46Z>";
const run = { count: 3, lastUntil: "over" } as const;

/** The colour, the headline, the fields and the sections of a message: what is seen. */
function seen(event: DeployEvent) {
  const { blocks, attachments } = renderNotice(noticeOf(event), untitled);
  const [{ color = null, blocks: details = [] } = {}] = attachments;
  const [fields = [], ...sections] = details.map(texts);
  return [color, blocks.flatMap(texts).join("\n"), fields.map(inline), sections.flat().map(inline)];
}

function texts(block: SlackBlock): string[] {
  if (block.type === "context") return block.elements.map(({ text }) => text);
  return ("text" in block ? [block.text] : block.fields).map(({ text }) => text);
}

function inline(text: string): string {
  return text.replace(/^\*([^*]+)\*\n/, "$1: ");
}

const host = "Host: web1";
const failed = {
  kind: "failed",
  tag: "v1.2.3",
  message: "the app did not listen\non port 8000",
  hint: "see its log",
  servingTag: "v1.2.2",
} as const satisfies DeployEvent;
const lost = {
  kind: "replica-lost",
  how: "died",
  tag: "v1.2.3",
  container: "web-1-0",
  reason: "it was killed",
  delayMs: 0,
} as const satisfies DeployEvent;

describe("a notice in Slack", () => {
  test.each<[DeployEvent, string | null, string, string[], string[]]>([
    [
      { kind: "agent-started", version: "v2.0.0", command: "server" },
      "good",
      "Automatic shipping started by *Dewy* (v2.0.0: server)",
      [host],
      [],
    ],
    [
      { kind: "agent-stopping", reason: "Stop receiving by terminated signal" },
      "warning",
      "Stop receiving by `terminated` signal",
      [host],
      [],
    ],
    [
      { kind: "deploying", tag: "v1.2.3", command: "server" },
      null,
      "Deploying `v1.2.3` (server)",
      [host, "Version: `v1.2.3`"],
      [],
    ],
    [
      { kind: "downloaded", tag: "v1.2.3" },
      null,
      "Downloaded artifact for `v1.2.3`",
      [host, "Version: `v1.2.3`"],
      [],
    ],
    [{ kind: "pulled", tag: "v1.2.3" }, null, "Pulled image for `v1.2.3`", [host, "Version: `v1.2.3`"], []],
    [
      {
        kind: "deployed",
        tag: "v1.2.3",
        fromTag: "v1.2.2",
        durationMs: 1534.4,
        how: "restarted",
        hasPort: true,
      },
      "good",
      "Server restarted for `v1.2.3` (`v1.2.2` → `v1.2.3`, 1.534s)",
      [host, "Version: `v1.2.2` → `v1.2.3`", "Duration: 1.534s"],
      [],
    ],
    [
      { kind: "deployed", tag: "v1.2.3", fromTag: null, durationMs: 1000, how: "placed", hasPort: false },
      "good",
      "Assets placed for `v1.2.3` (1s)",
      [host, "Version: `v1.2.3`", "Duration: 1s"],
      [],
    ],
    [
      { kind: "hook", hook: "before", result: hookResult },
      "good",
      "The before deploy hook succeeded in 250ms",
      [host, "Exit code: 0", "Duration: 250ms"],
      ["Command: ```\nmake migrate\n```", "Output: ```\n12 tables\n```"],
    ],
    [
      failedHook,
      "danger",
      "The after deploy hook failed with exit code 3 after 250ms",
      [host, "Exit code: 3", "Duration: 250ms"],
      ["Command: ```\nmake migrate\n```", "Output: ```\n12 tables\n```", "Errors: ```\nno such table\n```"],
    ],
    [
      { kind: "hook", hook: "after", result: { ...hookResult, exitCode: null, timedOut: true, stdout: "" } },
      "danger",
      "The after deploy hook timed out after 250ms",
      [host, "Exit code: timed out", "Duration: 250ms"],
      ["Command: ```\nmake migrate\n```"],
    ],
    [
      { kind: "hook", hook: "after", result: { ...hookResult, exitCode: null, stdout: "" } },
      "danger",
      "The after deploy hook was killed after 250ms",
      [host, "Exit code: killed", "Duration: 250ms"],
      ["Command: ```\nmake migrate\n```"],
    ],
    [{ kind: "restarted", signal: "SIGUSR1" }, "good", "Restarted receiving by `SIGUSR1` signal", [host], []],
    [
      failed,
      "danger",
      "Deploy of `v1.2.3` failed",
      [host, "Version: `v1.2.2` → `v1.2.3`"],
      [
        "Reason: ```\nthe app did not listen\non port 8000\n```",
        "What dewy did: `v1.2.2` stays in place",
        "What to do: see its log",
      ],
    ],
    [
      { ...failed, tag: null, hint: null, servingTag: null, run: { count: 1, lastUntil: null } },
      "danger",
      "Check failed",
      [host, "Errors in a row: 1"],
      ["Reason: ```\nthe app did not listen\non port 8000\n```", "What dewy did: Nothing is deployed yet"],
    ],
    [
      { ...failed, tag: "v1.2.2", hint: null, run },
      "danger",
      "Deploy of `v1.2.2` failed",
      [host, "Version: `v1.2.2`", "Errors in a row: 3"],
      [
        "Reason: ```\nthe app did not listen\non port 8000\n```",
        "What dewy did: `v1.2.2` stays in place",
        "No more error notifications until it is over",
      ],
    ],
    [
      { kind: "quarantined", tag: "v1.2.3", digest: "sha256:0a1b", reason: "it died" },
      "danger",
      "Quarantined `v1.2.3`",
      [host, "Version: `v1.2.3`", "Digest: `sha256:0a1b`"],
      [
        "Reason: ```\nit died\n```",
        "What dewy did: `v1.2.3` is not tried again until it changes",
        "What to do: Publish a corrected release, or run `dewy retry`",
      ],
    ],
    [
      {
        kind: "crashed",
        tag: "v1.2.3",
        reason: "killed by SIGSEGV",
        delayMs: 400,
        run: { ...run, lastUntil: "calm" },
      },
      "danger",
      "Server of `v1.2.3` died",
      [host, "Version: `v1.2.3`", "Errors in a row: 3"],
      [
        "Reason: ```\nkilled by SIGSEGV\n```",
        "What dewy did: The server is started again in 400ms",
        "No more error notifications until it has been calm for a while: it comes and goes",
      ],
    ],
    [
      { kind: "crashed", tag: null, reason: "exited with code 1", delayMs: 60_000 },
      "danger",
      "Server of unknown version died",
      [host],
      ["Reason: ```\nexited with code 1\n```", "What dewy did: The server is started again in 1m0s"],
    ],
    [
      lost,
      "warning",
      "Container `web-1-0` of `v1.2.3` died",
      [host, "Version: `v1.2.3`", "Container: `web-1-0`"],
      ["Reason: ```\nit was killed\n```", "What dewy did: It is replaced now"],
    ],
    [
      { ...lost, how: "sick", delayMs: 999.6 },
      "warning",
      "Container `web-1-0` of `v1.2.3` fails its checks",
      [host, "Version: `v1.2.3`", "Container: `web-1-0`"],
      ["Reason: ```\nit was killed\n```", "What dewy did: It is replaced in 1s"],
    ],
    [
      { ...lost, how: "not-started", container: null, delayMs: 2000 },
      "danger",
      "A container of `v1.2.3` did not start",
      [host, "Version: `v1.2.3`"],
      ["Reason: ```\nit was killed\n```", "What dewy did: The next one is tried in 2s"],
    ],
    [
      { kind: "recovered", trouble: "check", errors: 5, heldBack: 2, outages: 3, durationMs: 120_000 },
      "good",
      "Recovered: checks pass again after 2m0s (it came and went 3 times): 5 errors, 2 of them held back",
      [host, "Lasted: 2m0s", "Errors: 5", "Held back: 2", "Outages: 3"],
      [],
    ],
    [
      { kind: "recovered", trouble: "app", errors: 1, heldBack: 0, outages: 1, durationMs: 1000 },
      "good",
      "Recovered: the app runs again after 1s: 1 error",
      [host, "Lasted: 1s", "Errors: 1"],
      [],
    ],
    [{ kind: "dropped", count: 12 }, "warning", "12 notices were dropped", [host], []],
  ])("%j", (event, color, headline, fields, sections) => {
    expect(seen(event)).toEqual([color, headline, fields, [...sections, context]]);
  });

  test("is a whole sentence in notifications, too", () => {
    expect(renderNotice(noticeOf(failed), untitled).text).toBe(
      "Deploy of `v1.2.3` failed: the app did not listen\non port 8000 (`v1.2.2` stays in place); see its log",
    );
  });

  test.each([
    ["App", "https://app.test/?a=1&b=2", "*<https://app.test/?a=1&amp;b=2|App>* · "],
    ["App <1>", null, "*App &lt;1&gt;* · "],
    [null, "https://app.test/", "*<https://app.test/|Dewy>* · "],
    [null, null, ""],
  ])("titled %p with the link %p begins with %p", (title, titleUrl, head) => {
    const { text, blocks } = renderNotice(noticeOf({ kind: "pulled", tag: "v1" }), { title, titleUrl });
    expect(text).toBe(`${head}Pulled image for \`v1\``);
    expect(blocks.flatMap(texts)).toEqual([text]);
  });
});

test.each([
  ["failed", true],
  ["quarantined", true],
  ["crashed", true],
  ["replica-lost", true],
  ["recovered", true],
  ["dropped", true],
  ["hook", false],
  ["deployed", false],
  ["agent-stopping", false],
])("%s is an alarm: %p", (kind, alarm) => {
  const event = events.find((each) => each.kind === kind) ?? failedHook;
  expect(isAlarm(event)).toBe(alarm);
  expect(isAlarm(failedHook)).toBe(true);
});

test("every kind of event has a colour, or none", () => {
  expect(new Set(events.map(toneOf))).toEqual(new Set(["good", "warning", "danger", null]));
});
