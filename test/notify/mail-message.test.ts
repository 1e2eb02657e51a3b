import { describe, expect, test } from "bun:test";
import type { DeployEvent } from "../../src/events.ts";
import { mailMessage } from "../../src/notify/mail/message.ts";
import { messageOf } from "../../src/notify/message.ts";
import { headOf, oneLine, printed, tailOf } from "../../src/notify/plain.ts";
import { events, failedHook, noticeOf } from "../support/notices.ts";

const deployed = {
  kind: "deployed",
  tag: "v1.2.3",
  fromTag: "v1.2.2",
  durationMs: 1534,
  how: "restarted",
  hasPort: true,
} as const;

describe("a notice as a mail", () => {
  test("has the message, the facts and a hook's output as its text", () => {
    const result = { ...failedHook.result, stdout: "12 tables\r\n\u001b[31mred\u001b[0m" };
    expect(mailMessage(noticeOf({ ...failedHook, result }), "S").text).toBe(
      [
        "The after deploy hook failed with exit code 3 after 250ms",
        "",
        "Host:      web1",
        "Hook:      after deploy: make migrate",
        "Exit code: 3",
        "Took:      250ms",
        "Directory: /srv/app",
        "Command:   server",
        "Time:      2026-11-21T09:36:46.000Z",
        "",
        "Output:",
        "12 tables",
        "red",
        "",
        "Errors:",
        "no such table",
        "",
      ].join("\n"),
    );
  });

  test.each<[string, DeployEvent, readonly RegExp[]]>([
    [
      "a deploy: from what to what, and how long it took",
      deployed,
      [/^Version: +v1.2.2 → v1.2.3$/m, /^Took: +1.534s$/m],
    ],
    ["the first deploy: only to what", { ...deployed, fromTag: null }, [/^Version: +v1.2.3$/m]],
    [
      "a failure: why, what dewy did, what to do",
      { kind: "failed", tag: "v1.2.3", message: "it died", hint: "see its log", servingTag: "v1.2.2" },
      [/^Reason: +it died$/m, /^What dewy did: +kept v1.2.2 in place$/m, /^What to do: +see its log$/m],
    ],
    [
      "a quarantine: of what, and the way out",
      { kind: "quarantined", tag: "v1.2.3", digest: "sha256:abc", reason: "it died" },
      [/^Digest: +sha256:abc$/m, /^Reason: +it died$/m, /^What to do: .*dewy retry$/m],
    ],
    [
      "a crash: when it is started again",
      { kind: "crashed", tag: "v1", reason: "killed", delayMs: 400 },
      [/^What dewy does: +starts it again in 400ms$/m],
    ],
  ])("tells of %s", (_, event, facts) => {
    const { text } = mailMessage(noticeOf(event), "S");
    for (const fact of facts) expect(text).toMatch(fact);
  });

  test.each<[DeployEvent, string]>([
    [deployed, "Dewy Notification: v1.2.3 deployed on web1"],
    [{ ...failedHook }, "Dewy Notification: after deploy hook failed on web1"],
    [
      { kind: "failed", tag: null, message: "m", hint: null, servingTag: null },
      "Dewy Notification: check failed on web1",
    ],
    [
      { kind: "failed", tag: "v1", message: "m", hint: null, servingTag: null },
      "Dewy Notification: deploy of v1 failed on web1",
    ],
    [{ kind: "downloaded", tag: "v1" }, "Dewy Notification: v1 downloaded on web1"],
  ])("%j has the subject %j", (event, subject) => {
    expect(mailMessage(noticeOf(event), "Dewy Notification").subject).toBe(subject);
  });

  test.each(events.map((event) => [event.kind, event] as const))(
    "of kind %s has all its parts",
    (_, event) => {
      const { subject, text, date, headers } = mailMessage(noticeOf(event), "App");
      expect(subject).toMatch(/^App: .+ on web1$/);
      expect(text).toStartWith(messageOf(event));
      expect(text).toMatch(/^Host: +web1$/m);
      expect(date.toISOString()).toBe("2026-11-21T09:36:46.000Z");
      expect(headers).toEqual({ "Auto-Submitted": "auto-generated" });
    },
  );

  test("has an id of its own that stays the same", () => {
    const notice = noticeOf(deployed, { id: "1" });
    const idOf = (changes: object) => mailMessage({ ...notice, ...changes }, "S").messageId;
    expect(idOf({})).toBe(idOf({ at: "2026-11-22T00:00:00.000Z" }));
    expect(idOf({})).toMatch(/^<dewy\.[0-9a-f]{32}@web1>$/);
    const others = [{ id: "2" }, { root: "/srv/other" }, { host: "web2" }].map(idOf);
    expect(new Set([idOf({}), ...others]).size).toBe(4);
    expect(idOf({ host: "a b>\r\nBcc: x" })).toMatch(/^<dewy\.[0-9a-f]{32}@a-b-Bcc-x>$/);
    expect(idOf({ host: "" })).toEndWith("@localhost>");
  });

  test.each<[string, Partial<Parameters<typeof noticeOf>[1]>, DeployEvent]>([
    ["a tag", {}, { kind: "downloaded", tag: "v1\r\nBcc: x@y.z" }],
    ["the host's name", { host: "web\r\nBcc: x@y.z" }, { kind: "downloaded", tag: "v1" }],
  ])("%s can't end a header", (_, changes, event) => {
    const { subject, messageId, text } = mailMessage(noticeOf(event, changes), "S");
    expect(`${subject}${messageId}`).not.toMatch(/[\r\n]/);
    expect(text).not.toMatch(/^Bcc:/m);
    expect(text).not.toContain("\r");
  });

  test("of an endless tag has a subject that ends", () => {
    expect(mailMessage(noticeOf({ kind: "downloaded", tag: "v".repeat(10_000) }), "S").subject).toHaveLength(
      200,
    );
  });
});

describe("plain text", () => {
  test.each([
    ["a\r\nb\tc\u0000", "a b c"],
    ["\u001b[1;31mred\u001b[0m \u001b]0;title\u0007text", "red text"],
    ["a\u2028b\u202ec", "a b c"],
    ["two  blanks", "two  blanks"],
    ["half \ud83e", "half \ufffd"],
  ])("%j on one line is %j", (text, line) => {
    expect(oneLine(text)).toBe(line);
  });

  test("as printed keeps its lines", () => {
    expect(printed("\n a\tb \r\nc\rd\u0007\n\n")).toBe("a    b\nc\nd");
  });

  test.each([
    [tailOf, "abcdefgh", 5, "…\nfgh"],
    [tailOf, "abc", 5, "abc"],
    [tailOf, "abcdefgh", 2, ""],
    [tailOf, "abcd🦊fgh", 6, "…\nfgh"],
    [headOf, "abcdefgh", 5, "abcd…"],
    [headOf, "abc🦊fgh", 5, "abc…"],
  ])("%p of %j in %d is %j", (cut, text, most, kept) => {
    expect(cut(text, most)).toBe(kept);
  });
});
