import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DeployEvent } from "../../src/events.ts";
import {
  clipped,
  code,
  codeBlock,
  date,
  escaped,
  headlineOf,
  lineOf,
  link,
} from "../../src/notify/slack/text.ts";
import { events, failedHook } from "../support/notices.ts";
import { plain } from "./slack-fixture.ts";

describe("text from outside", () => {
  test.each([
    ["a & b", "a &amp; b"],
    ["<!channel>", "&lt;!channel&gt;"],
    [
      "<@U024BE7LH> <#C024BE91L> <https://evil.test|Log in>",
      "&lt;@U024BE7LH&gt; &lt;#C024BE91L&gt; &lt;https://evil.test|Log in&gt;",
    ],
    ["&lt;!here&gt;", "&amp;lt;!here&amp;gt;"],
    ["`rm -rf`", "\u02cbrm -rf\u02cb"],
    ["\u001b[31mred\u001b[0m \u001b]0;title\u0007.", "red ."],
    ["a\u0000b\u0007c\u007f\u0085", "abc"],
    ["one\r\ntwo\rthree\n\tfour", "one\ntwo\nthree\n\tfour"],
    ["safe\u202egnp.exe\u2066", "safegnp.exe"],
    ["ü € 漢 🚀", "ü € 漢 🚀"],
    ["\ud83d alone", "\ufffd alone"],
    ["", ""],
  ])("%j becomes %j", (text, markup) => {
    expect(escaped(text)).toBe(markup);
  });

  test.each<[string, number, "head" | "tail", string]>([
    ["abcdef", 6, "head", "abcdef"],
    ["abcdef", 5, "head", "abcd…"],
    ["abcdef", 5, "tail", "…cdef"],
    ["a<b", 6, "head", "a&lt;b"],
    ["a<bc", 6, "head", "a&lt;…"],
    ["a<bc", 5, "head", "a…"],
    ["ab<c", 5, "tail", "…c"],
    ["🚀🚀🚀", 5, "head", "🚀🚀…"],
    ["🚀🚀🚀", 4, "tail", "…🚀"],
  ])("%j in %i characters, %s first, is %j", (text, limit, keep, markup) => {
    expect(clipped(text, limit, keep)).toBe(markup);
  });

  test("never holds a control sign, half an entity or half a character, nor is it ever too long", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom("<", ">", "&", "`", "a", "🚀", "\ud83d", "\n", "\u202e"),
          maxLength: 60,
        }),
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom("head" as const, "tail" as const),
        (text, limit, keep) => {
          const markup = clipped(text, limit, keep);
          expect(markup.length).toBeLessThanOrEqual(limit);
          expect(markup.isWellFormed()).toBe(true);
          expect(markup.replace(/&(amp|lt|gt);/g, "")).not.toMatch(/[<>&`\u202e]/);
        },
      ),
    );
  });
});

describe("marks", () => {
  test.each([
    ["v1.2.3", "`v1.2.3`"],
    ["v1`<!channel>`", "`v1\u02cb&lt;!channel&gt;\u02cb`"],
    ["two\nlines", "`two lines`"],
    ["", ""],
    [" \n ", ""],
  ])("a name %j is %j", (name, markup) => {
    expect(code(name)).toBe(markup);
  });

  test.each([
    ["ls\n", "```\nls\n```"],
    ["a ``` <!here> ``` b", "```\na \u02cb\u02cb\u02cb &lt;!here&gt; \u02cb\u02cb\u02cb b\n```"],
    ["", ""],
    ["\n \n", ""],
    ["\u0000", ""],
  ])("lines %j are %j", (lines, markup) => {
    expect(codeBlock(lines, 100, "tail")).toBe(markup);
  });

  test("of lines that are too many, fences counted, the wanted end is kept", () => {
    expect(codeBlock("one\ntwo\nthree", 14, "tail")).toBe("```\n…three\n```");
    expect(codeBlock("one\ntwo\nthree", 12, "head")).toBe("```\none…\n```");
  });

  test.each([
    ["https://app.test/", "App", "<https://app.test/|App>"],
    ["https://app.test/?a=1&b=2", "A & B", "<https://app.test/?a=1&amp;b=2|A &amp; B>"],
    ["https://app.test/a|b", "x|y", "<https://app.test/a%7Cb|x|y>"],
    ["https://app.test/", "a>\n<!channel>", "<https://app.test/|a&gt; &lt;!channel&gt;>"],
  ])("a link to %s named %j", (url, label, markup) => {
    expect(link(url, label)).toBe(markup);
  });

  test("a time is the reader's own, or what it was where it is none", () => {
    expect(date("2026-11-21T09:36:46.500Z")).toBe(
      "<!date^1795253806^{date_num} {time_secs}|2026-11-21T09:36:46Z>",
    );
    expect(date("yesterday <!here>")).toBe("yesterday &lt;!here&gt;");
  });
});

const failed = {
  kind: "failed",
  tag: "v1.2.3",
  message: "v1.2.3-rc.1, v1.2.33, rev1.2.3, a-v1.2 and v1.2.3: it died",
  hint: "see its log",
  servingTag: "v1.2",
} as const satisfies DeployEvent;
const run = { count: 3, lastUntil: "over" } as const;

describe("an event's line", () => {
  test.each<[DeployEvent, string]>([
    [
      { kind: "agent-started", version: "v2.0.0", command: "server" },
      "Automatic shipping started by *Dewy* (v2.0.0: server)",
    ],
    [{ kind: "downloaded", tag: "v1.2.3" }, "Downloaded artifact for `v1.2.3`"],
    [{ kind: "pulled", tag: "v1.2.3+a.1" }, "Pulled image for `v1.2.3+a.1`"],
    [{ kind: "deploying", tag: "v1.2.3", command: "server" }, "Deploying `v1.2.3` (server)"],
    [
      { kind: "deployed", tag: "v1.2.3", fromTag: "v1.2", durationMs: 1500, how: "started", hasPort: false },
      "Server started for `v1.2.3` without port (`v1.2` → `v1.2.3`, 1.5s)",
    ],
    [
      { kind: "deployed", tag: "v1.2.3", fromTag: null, durationMs: 1500, how: "rolled", hasPort: true },
      "Container deployed successfully for `v1.2.3` (1.5s)",
    ],
    [{ kind: "restarted", signal: "SIGUSR1" }, "Restarted receiving by `SIGUSR1` signal"],
    [
      { kind: "agent-stopping", reason: "Stop receiving by terminated signal" },
      "Stop receiving by `terminated` signal",
    ],
    [
      { kind: "agent-stopping", reason: "Stop receiving by `terminated` signal" },
      "Stop receiving by `terminated` signal",
    ],
    [{ kind: "agent-stopping", reason: "no more <work>" }, "no more &lt;work&gt;"],
    [
      failed,
      "Deploy of `v1.2.3` failed: v1.2.3-rc.1, v1.2.33, rev1.2.3, a-v1.2 and `v1.2.3`: it died (`v1.2` stays in place); see its log",
    ],
    [
      { ...failed, message: "<!channel> `x`", run },
      "Error occurred (count: 3): Deploy of `v1.2.3` failed: &lt;!channel&gt; \u02cbx\u02cb (`v1.2` stays in place); see its log. No more error notifications until it is over",
    ],
    [{ kind: "downloaded", tag: "v1`<!here>" }, "Downloaded artifact for `v1\u02cb&lt;!here&gt;`"],
  ])("%j: %s", (event, line) => {
    expect(lineOf(event, 1000)).toBe(line);
  });

  test.each<[DeployEvent, string]>([
    [{ ...failed, run }, "Deploy of `v1.2.3` failed"],
    [{ ...failed, tag: null }, "Check failed"],
    [{ kind: "quarantined", tag: "v1.2.3", digest: null, reason: "it died: badly" }, "Quarantined `v1.2.3`"],
    [{ kind: "crashed", tag: "v1.2.3", reason: "killed", delayMs: 1, run }, "Server of `v1.2.3` died"],
    [{ kind: "crashed", tag: null, reason: "killed", delayMs: 1 }, "Server of unknown version died"],
    [
      { kind: "replica-lost", how: "sick", tag: "v1.2.3", container: "web-1", reason: "503", delayMs: 0 },
      "Container `web-1` of `v1.2.3` fails its checks",
    ],
    [{ kind: "downloaded", tag: "v1.2.3" }, "Downloaded artifact for `v1.2.3`"],
  ])("%j without its reason: %s", (event, line) => {
    expect(headlineOf(event, 1000)).toBe(line);
  });

  test("fits, with every mark whole", () => {
    for (const event of [...events, failedHook, failed]) {
      for (let limit = 5; limit < 200; limit++) {
        const line = lineOf(event, limit);
        expect(line.length).toBeLessThanOrEqual(limit);
        expect(line.split("`").length % 2).toBe(1);
      }
      expect(plain(lineOf(event, 1000))).not.toContain("…");
    }
  });
});
