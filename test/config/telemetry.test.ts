import { describe, expect, test } from "bun:test";
import { parseOtlpAddress } from "../../src/config/telemetry.ts";
import { dewy } from "../cli/support.ts";

describe("a collector's address", () => {
  test.each<[string, string, number]>([
    ["collector:4317", "collector", 4317],
    ["otel.example.com:443", "otel.example.com", 443],
    ["127.0.0.1:1", "127.0.0.1", 1],
    ["[::1]:65535", "::1", 65_535],
  ])("%s is taken", (text, host, port) => {
    expect(parseOtlpAddress(text)).toEqual({ host, port });
  });

  test.each([
    "collector",
    ":4317",
    "collector:",
    "collector:0",
    "collector:65536",
    "http://collector:4317",
    "::1:4317",
    "[collector]:4317",
    "256.1.1.1:4317",
    "a b:4317",
    "collector:4317/path",
  ])("%s is refused", (text) => {
    expect(() => parseOtlpAddress(text)).toThrow("is not host:port");
  });

  test("that is refused is shown without a password", () => {
    expect(() => parseOtlpAddress("https://user:secret@c:4317?token=secret")).toThrow(/^(?!.*secret)/);
  });
});

describe("a flag of telemetry without effect is an error", () => {
  const registry = ["--registry", "ghr://o/r"];

  test.each<[string[], RegExp]>([
    [["assets", ...registry, "--otlp-insecure"], /--otlp-insecure.*no(ne|t).*--otlp-endpoint/],
    [["assets", ...registry, "--telemetry", "--otlp-insecure"], /--otlp-insecure/],
    [["container", "--registry", "img://h/n", "--otlp-insecure"], /--otlp-insecure/],
    [["assets", ...registry, "--admin-port", "9000"], /--admin-port.*--telemetry/],
    [["server", ...registry, "--admin-port", "9000", "--", "./app"], /--admin-port.*--telemetry/],
    [["assets", ...registry, "--otlp-endpoint", "nope"], /--otlp-endpoint.*host:port/],
  ])("%j", async (argv, message) => {
    const { code, errors } = await dewy(argv);
    expect(code).toBe(1);
    expect(errors.join("\n")).toMatch(message);
    expect(errors).toHaveLength(1);
  });

  test.each<[string[]]>([
    [["assets", ...registry, "--telemetry", "--admin-port", "9000"]],
    [["assets", ...registry, "--otlp-endpoint", "c:1", "--admin-port", "9000", "--otlp-insecure"]],
    [["container", "--registry", "img://h/n", "--admin-port", "9000"]],
  ])("and none where it has one: %j", async (argv) => {
    expect((await dewy(argv)).errors).toEqual([]);
  });
});
