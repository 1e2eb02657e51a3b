import { describe, expect, test } from "bun:test";
import { dewy } from "../cli/support.ts";

const server = (...flags: string[]) => [
  "server",
  "--registry",
  "ghr://owner/repo",
  ...flags,
  "--",
  "./current/app",
];

describe("flags about health that would have no effect, or no sense, are told", () => {
  test.each<[string[], string]>([
    [["--health-path", "/up"], "--health-path needs a port to ask"],
    [["--health-timeout", "5s"], "--health-timeout is about health checks, and there is none"],
    [["--health-interval", "5s"], "--health-interval is about health checks, and there is none"],
    [["--health-passes", "5"], "--health-passes is about health checks, and there is none"],
    [["--health-threshold", "5"], "--health-threshold is about health checks, and there is none"],
    [["--rehearse", "-p", "8000"], "--rehearse has no health check to go by"],
    [["--rehearse", "--health-cmd", "x"], "--rehearse needs a port that clients are kept away from"],
    [["--health-cmd", "x", "--health-threshold", "5"], "--health-threshold counts failed checks while"],
    [["--health-cmd", " "], "--health-cmd is empty"],
    [["-p", "1", "--health-path", "up"], '--health-path "up" is not a path'],
    [["-p", "1", "--health-path", "//host/up"], '--health-path "//host/up" is not a path'],
    [
      ["--health-cmd", "x", "--health-passes", "6", "--health-timeout", "10s"],
      "--health-timeout is too short for so many checks",
    ],
  ])("%j", async (flags, message) => {
    const { code, errors } = await dewy(server(...flags));
    expect(code).toBe(1);
    expect(errors.join("\n")).toContain(message);
  });
});
