import { describe, expect, test } from "bun:test";
import { parseUrl, withoutSecrets } from "../../src/config/urls.ts";

describe("parseUrl", () => {
  test.each([
    "ghr://Owner_X/Repo?pre-release=true",
    "ghr://owner/repo",
    "file:///srv/releases",
    "s3://ap-northeast-1/bucket/prefix?endpoint=http://127.0.0.1:9000",
    "gs://My_Bucket/x",
    "img://GHCR.io/a/b",
    "smtp://user:pass@host:587/me@example.com",
    "memory://",
  ])("%s is given back as it was written", (url) => {
    expect(parseUrl(url, "x")).toBe(url);
  });

  test("file and memory are short where it is allowed", () => {
    expect(parseUrl("file", "x", { bareWords: true })).toBe("file://");
    expect(parseUrl("memory", "x", { bareWords: true })).toBe("memory://");
    expect(() => parseUrl("file", "x")).toThrow("is not a URL");
    expect(() => parseUrl("toString", "x", { bareWords: true })).toThrow("is not a URL");
  });

  test.each(["owner/repo", "ghr:owner/repo", "//host/x", "", "redis://h:99999", "1http://x", "ghr//o/r"])(
    "%j is no URL",
    (text) => {
      expect(() => parseUrl(text, "ghr://owner/repo")).toThrow(
        expect.objectContaining({ code: "config-invalid", hint: "write for example ghr://owner/repo" }),
      );
    },
  );

  test.each([" ghr://o/r", "ghr://o/r ", "ghr://o/r\n", "ghr://o/a b", "ghr://o/\tr"])(
    "%j holds a blank that URL would swallow",
    (text) => {
      expect(() => parseUrl(text, "x")).toThrow("holds a blank");
    },
  );
});

test.each([
  [
    "smtp://mail.example:99999/ops@example.com?password=s3cret",
    "smtp://mail.example:99999/…",
    "smtp://host:587/",
  ],
  ["smtp://u:s3cret@mail.example:99999/ops@example.com", "smtp://***@example.com", "smtp://host:587/"],
  ["webhook+https:/hooks.example/T0/s3cret", "webhook+https:/…", "webhook+https://host/"],
  ["slack//ops", "slack//ops", "slack://"],
  ["slack//xoxb-s3cret", "slack//***", "slack://"],
])("%s shows its scheme and host, and an example that fits", (text, shown, example) => {
  const examples = {
    smtp: "smtp://host:587/ops@example.com",
    "webhook+https": "webhook+https://host/path",
  };
  expect(() => parseUrl(text, "slack://channel", { secretPath: true, examples })).toThrow(
    expect.objectContaining({
      message: `"${shown}" is not a URL`,
      hint: expect.stringContaining(`write for example ${example}`),
    }),
  );
});

test.each([
  ["smtp://user:s3cret@host:99999/me@example.com?password=s3cret"],
  ["smtp//user:s3cret@host/x"],
  ["user:s3cret@host"],
  ["redis://:s3c/s3cret@host:99999"],
  ["redis://:s3cret#REST@host"],
  ["redis://:s3cret?REST@host/0"],
  ["slack:channel?token=s3cret"],
  ["slack:channel#s3cret"],
])("%s shows no secret", (url) => {
  expect(withoutSecrets(url)).not.toContain("s3cret");
  expect(() => parseUrl(url, "x")).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
  );
});

test("where the path is a secret, it is not shown either", () => {
  const attempt = (url: string) => () => parseUrl(url, "x", { secretPath: true });
  expect(attempt("hooks.slack.com/services/T0/s3cret")).toThrow('"hooks.slack.com/…" is not a URL');
  expect(attempt("https://hooks.slack.com:99999/T0/s3cret")).toThrow(
    '"https://hooks.slack.com:99999/…" is not',
  );
});
