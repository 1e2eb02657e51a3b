import { describe, expect, test } from "bun:test";
import { messageOf } from "../../src/notify/message.ts";
import { severityOf } from "../../src/notify/severity.ts";
import { webhookBody } from "../../src/notify/webhook/body.ts";
import { webhookFormats } from "../../src/notify/webhook/url.ts";
import { events, failedHook, hookResult, noticeOf } from "../support/notices.ts";

const hostile =
  "</a> & @all <!channel> <@U1> `x` ```y``` [z](http://evil.example) *b* ~s~ ||p|| \u001b[31mred\u001b[0m \u202e";

function failedWith(message: string) {
  return noticeOf({ kind: "failed", tag: "v1", message, hint: null, servingTag: null });
}

function hookWith(stdout: string, stderr = "") {
  return noticeOf({ ...failedHook, result: { ...hookResult, exitCode: 1, stdout, stderr } });
}

describe("as JSON", () => {
  test("a notice has the fields that are documented", () => {
    const event = {
      kind: "deployed",
      tag: "v1.2.3",
      fromTag: "v1.2.2",
      durationMs: 1500,
      how: "restarted",
      hasPort: true,
    } as const;
    const notice = noticeOf(event, { id: "0000000000042-0a1b2c3d", thread: "1503435956.000247" });
    expect(JSON.parse(webhookBody(notice, "json"))).toEqual({
      schema: "dewy.notice/1",
      id: "0000000000042-0a1b2c3d",
      at: "2026-11-21T09:36:46.000Z",
      host: "web1",
      command: "server",
      root: "/srv/app",
      severity: "success",
      text: "Server restarted for v1.2.3 (v1.2.2 → v1.2.3, 1.5s)",
      event,
    });
  });

  test.each(events.map((event) => [event.kind, event] as const))("%s keeps all of its fields", (_, event) => {
    expect(JSON.parse(webhookBody(noticeOf(event), "json"))).toMatchObject({ event, text: messageOf(event) });
  });

  test("the text is one plain line, whatever a program said", () => {
    const notice = failedWith("no\nsuch \u001b[31mtable\u001b[0m\u202e \u0007end");
    const { text } = JSON.parse(webhookBody(notice, "json"));
    expect(text).toMatch(/no such table +end/);
    expect(text).not.toMatch(/[\p{Cc}\u202e]/u);
  });

  test("durations are whole milliseconds", () => {
    const took = noticeOf({ ...failedHook, result: { ...hookResult, durationMs: 12.345678 } });
    expect(JSON.parse(webhookBody(took, "json")).event.result.durationMs).toBe(12);
    const recovered = { kind: "recovered", trouble: "check", errors: 1, heldBack: 0, outages: 1 } as const;
    const over = noticeOf({ ...recovered, durationMs: 1000.5 });
    expect(JSON.parse(webhookBody(over, "json")).event.durationMs).toBe(1001);
  });

  test("a hook's output is cut to its end", () => {
    const { event } = JSON.parse(webhookBody(hookWith(`${"x".repeat(60_000)}END`), "json"));
    expect(event.result.stdout).toHaveLength(8_000);
    expect(event.result.stdout).toEndWith("xEND");
  });
});

describe("a notice's severity", () => {
  test.each([
    ["deployed", "success"],
    ["recovered", "success"],
    ["failed", "error"],
    ["quarantined", "error"],
    ["crashed", "error"],
    ["replica-lost", "warning"],
    ["dropped", "warning"],
    ["hook", "info"],
    ["downloaded", "info"],
  ] as const)("of %s is %s", (kind, severity) => {
    expect(events.filter((event) => event.kind === kind).map(severityOf)).toEqual([severity]);
  });

  test("of a failed hook is error", () => {
    expect(severityOf(failedHook)).toBe("error");
  });
});

describe.each(webhookFormats)("as %s", (format) => {
  test("the same notice is the same bytes", () => {
    const notice = noticeOf(failedHook);
    expect(webhookBody(notice, format)).toBe(webhookBody({ ...notice }, format));
  });

  test.each([...events, failedHook].map((event) => [event.kind, event] as const))(
    "%s says what, and where",
    (_, event) => {
      const body = webhookBody(noticeOf(event), format);
      expect(body).toContain("web1");
      for (const word of messageOf(event).match(/[a-z]{4,}/gi) ?? []) expect(body).toContain(word);
    },
  );

  test("no text breaks its limits, whatever it holds", () => {
    for (const filler of ["x", "&", "`", "🦊", "_", "\n", "€"]) {
      const notices = [
        hookWith(filler.repeat(65_536), filler.repeat(65_536)),
        failedWith(filler.repeat(20_000)),
      ];
      for (const body of notices.map((notice) => webhookBody(notice, format))) {
        expect(Buffer.byteLength(body)).toBeLessThan(format === "json" ? 200_000 : 28_000);
        expect(body.isWellFormed()).toBe(true);
        const { content = "", text = "" } = JSON.parse(body);
        expect(content.length).toBeLessThanOrEqual(2_000);
        if (format === "slack") expect(text.length).toBeLessThanOrEqual(4_000);
      }
    }
  });
});

describe("as slack", () => {
  const textOf = (notice: Parameters<typeof webhookBody>[0]): string =>
    JSON.parse(webhookBody(notice, "slack")).text;

  test("a notice is its message, its facts and the output", () => {
    expect(textOf(hookWith("12 tables", "no such table"))).toBe(
      [
        "The after deploy hook failed with exit code 1 after 250ms",
        "Host: web1",
        "Hook: after deploy: make migrate",
        "Exit code: 1",
        "Took: 250ms",
        "Directory: /srv/app",
        "Command: server",
        "Time: 2026-11-21T09:36:46.000Z",
        "Output:",
        "```",
        "12 tables",
        "```",
        "Errors:",
        "```",
        "no such table",
        "```",
      ].join("\n"),
    );
  });

  test.each([
    ["its message", failedWith(hostile)],
    ["a hook's output", hookWith(hostile, hostile)],
  ])("%s mentions nobody, makes no link and ends no code", (_, notice) => {
    const text = textOf(notice);
    expect(text).not.toMatch(/<|>|@(all|channel|here|U1)/);
    expect(text.replace(/^```$/gm, "")).not.toContain("`");
    expect(text).toContain("&lt;!channel&gt;");
    expect(text).not.toContain("\u001b");
    expect(text).not.toContain("\u202e");
  });
});

test.each(["[log in](https://evil.example)", "![x](https://evil.example/x.png)", "[log in][1]"])(
  "%s is no link or picture for Mattermost",
  (markup) => {
    const { text } = JSON.parse(webhookBody(failedWith(markup), "slack"));
    expect(text).toContain("]\u2060");
    expect(text).not.toMatch(/\][([]/);
  },
);

test("what a hook prints is in its fence as it is", () => {
  const { text } = JSON.parse(webhookBody(hookWith("[log in](https://app.example)"), "slack"));
  expect(text).toContain("[log in](https://app.example)");
});

test("of facts that leave no room there is no output, whatever their length", () => {
  for (let length = 0; length < 350; length++) {
    const places = { host: "-".repeat(350), root: "_".repeat(350), at: "*".repeat(length) };
    const notice = { ...hookWith("12 tables", "no such table"), ...places };
    const { content } = JSON.parse(webhookBody(notice, "discord"));
    expect(content.length).toBeLessThanOrEqual(2000);
  }
});

test("of two outputs that grow by their escapes, slack gets the end of both", () => {
  const { text } = JSON.parse(
    webhookBody(hookWith(`${"&".repeat(9_000)}END1`, `${"&".repeat(9_000)}END2`), "slack"),
  );
  expect(text).toMatch(/(&amp;){200,}END1\n```[\s\S]*(&amp;){200,}END2\n```$/);
});

describe("as discord", () => {
  const bodyOf = (notice: Parameters<typeof webhookBody>[0]) => JSON.parse(webhookBody(notice, "discord"));

  test("a notice mentions nobody", () => {
    expect(bodyOf(failedWith(hostile)).allowed_mentions).toEqual({ parse: [] });
  });

  test("signs of its mark-up are escaped, and end no code", () => {
    expect(bodyOf(failedWith("v1_2_3 *x* [a](b)")).content).toContain("v1\\_2\\_3 \\*x\\* \\[a\\]\\(b\\)");
    const { content } = bodyOf(hookWith("a ``` b"));
    expect(content.match(/```/g)).toHaveLength(2);
    expect(content).toContain("a \u02cb\u02cb\u02cb b");
  });

  test("of two long outputs both have their end in it", () => {
    const { content } = bodyOf(hookWith(`${"x".repeat(9_000)}END1`, `${"y".repeat(9_000)}END2`));
    expect(content).toMatch(/xEND1\n```[\s\S]*yEND2\n```$/);
  });
});

describe("as teams", () => {
  test("a notice is a message with one card, without mark-up, in the colour of its severity", () => {
    const body = JSON.parse(webhookBody(hookWith("12 tables"), "teams"));
    expect(body.type).toBe("message");
    const [{ contentType, contentUrl, content }] = body.attachments;
    expect({ contentType, contentUrl, type: content.type }).toEqual({
      contentType: "application/vnd.microsoft.card.adaptive",
      contentUrl: null,
      type: "AdaptiveCard",
    });
    expect(new Set(content.body.map(({ type }: { type: string }) => type))).toEqual(
      new Set(["RichTextBlock"]),
    );
    expect(content.body[0].inlines[0]).toMatchObject({ color: "Attention", weight: "Bolder" });
    expect(content.body.at(-1).inlines[0]).toMatchObject({ text: "12 tables", fontType: "Monospace" });
  });
});
