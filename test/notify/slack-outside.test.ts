import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DeployEvent, HookResult } from "../../src/events.ts";
import { renderNotice, type SlackBlock } from "../../src/notify/slack/blocks.ts";
import { events, failedHook, noticeOf } from "../support/notices.ts";
import { problemOf } from "../support/slack-payload.ts";

function texts(block: SlackBlock): string[] {
  if (block.type === "context") return block.elements.map(({ text }) => text);
  return ("text" in block ? [block.text] : block.fields).map(({ text }) => text);
}

describe("whatever comes from outside", () => {
  const nasty = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.constantFrom(
      "<!channel>",
      "<@U024BE7LH>",
      "`",
      "```",
      "*",
      "\ud83d",
      "<https://evil.test|x>",
      "",
      "\n",
    ),
    fc.string({ unit: fc.constantFrom("&", "<", "`", "x", "\n", "🚀"), minLength: 3000, maxLength: 6000 }),
  );
  const result: fc.Arbitrary<HookResult> = fc.record({
    command: nasty,
    stdout: nasty,
    stderr: nasty,
    exitCode: fc.constantFrom(0, 1, null),
    durationMs: fc.nat(),
    timedOut: fc.boolean(),
  });
  const tag = nasty;
  const some = fc.record({ tag, reason: nasty, delayMs: fc.nat() });
  const event: fc.Arbitrary<DeployEvent> = fc.oneof(
    fc.record({ kind: fc.constant("hook" as const), hook: fc.constant("before" as const), result }),
    fc.record({
      kind: fc.constant("failed" as const),
      tag: fc.option(tag),
      message: nasty,
      hint: fc.option(nasty),
      servingTag: fc.option(tag),
      run: fc.constant({ count: 3, lastUntil: "over" as const }),
    }),
    some.map((each) => ({ kind: "quarantined" as const, digest: null, ...each })),
    some.map((each) => ({ kind: "crashed" as const, ...each })),
    some.map((each) => ({
      kind: "replica-lost" as const,
      how: "died" as const,
      ...each,
      container: each.reason,
    })),
    fc.record({ kind: fc.constant("agent-stopping" as const), reason: nasty }),
    fc.record({ kind: fc.constant("pulled" as const), tag }),
  );

  test("makes a message that Slack takes, with no mention and no link of its own", () => {
    fc.assert(
      fc.property(event, nasty, nasty, (given, host, root) => {
        const title = { title: "App", titleUrl: `https://app.test/?${"&".repeat(190)}` };
        const content = renderNotice(noticeOf(given, { host, root }), title);
        const workspace = { channels: ["#deploys"], threads: [] };
        expect(problemOf({ channel: "#deploys", ...content }, workspace)).toBeNull();
        const shown = [
          content.text,
          ...[...content.blocks, ...content.attachments.flatMap((a) => a.blocks)].flatMap(texts),
        ];
        const marked = shown.flatMap((text) => text.match(/<[^>]*>?/g) ?? []);
        expect(marked.filter((mark) => !/^<(https:\/\/app\.test\/|!date\^1795253806\^)/.test(mark))).toEqual(
          [],
        );
        for (const text of shown) expect(text.split("`").length % 2).toBe(1);
      }),
      { numRuns: 300 },
    );
  });

  test("leaves every link out that isn't marked", () => {
    for (const each of [...events, failedHook]) {
      const { blocks, attachments } = renderNotice(noticeOf(each), { title: null, titleUrl: null });
      const objects = JSON.stringify([blocks, attachments]).match(/"type":"mrkdwn"/g)?.length;
      expect(JSON.stringify([blocks, attachments]).match(/"verbatim":true/g)).toHaveLength(objects ?? 0);
    }
  });

  test("of a hook's output the end is shown", () => {
    const stdout = `first\n${"x".repeat(65_536)}\nlast`;
    const { attachments } = renderNotice(
      noticeOf({ ...failedHook, result: { ...failedHook.result, stdout } }),
      { title: null, titleUrl: null },
    );
    const shown = attachments
      .flatMap(({ blocks }) => blocks.flatMap(texts))
      .find((text) => text.includes("xxx"));
    expect(shown).toMatch(/^\*Output\*\n```\n…x+\nlast\n```$/);
    expect(shown?.length).toBeLessThan(2100);
  });
});
