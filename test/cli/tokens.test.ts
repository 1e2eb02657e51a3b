import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { commandNames } from "../../src/cli/arguments/commands.ts";
import { flags } from "../../src/cli/arguments/flags.ts";
import { readTokens } from "../../src/cli/arguments/tokens.ts";
import { problemText } from "../../src/config/problem.ts";
import { configOf, dewy } from "./support.ts";

const values = (...argv: string[]) => {
  const tokens = readTokens(argv);
  expect(tokens.problems).toEqual([]);
  return Object.fromEntries(tokens.values);
};
const problems = (...argv: string[]) => readTokens(argv).problems.map(problemText);

describe("spellings", () => {
  test.each<[string[], Record<string, string[]>]>([
    [["assets", "--registry", "x"], { registry: ["x"] }],
    [["assets", "--registry=x"], { registry: ["x"] }],
    [["assets", "--registry=a=b"], { registry: ["a=b"] }],
    [["server", "-p", "8000"], { port: ["8000"] }],
    [["server", "-p=8000"], { port: ["8000"] }],
    [["server", "-p8000"], { port: ["8000"] }],
    [["server", "-p", "1", "-p2", "--port=3"], { port: ["1", "2", "3"] }],
    [["assets", "--after-deploy-hook=--weird"], { "after-deploy-hook": ["--weird"] }],
    [["assets", "--slot", "-"], { slot: ["-"] }],
    [["assets", "--once"], { once: ["true"] }],
    [["assets", "--once=false"], { once: ["false"] }],
    [["assets", "--no-report"], { "no-report": ["true"] }],
    [["-l", "debug", "--once", "assets"], { "log-level": ["debug"], once: ["true"] }],
    [["--registry", "server", "assets"], { registry: ["server"] }],
  ])("%j", (argv, expected) => {
    expect(values(...argv)).toEqual(expected);
  });
});

describe("the app's command", () => {
  test.each<[string[], string[]]>([
    [
      ["server", "--", "./app", "-x", "--", "--registry"],
      ["./app", "-x", "--", "--registry"],
    ],
    [
      ["server", "./app", "--once", "--", "-p", "1"],
      ["./app", "--once", "--", "-p", "1"],
    ],
    [
      ["server", "-p", "1", "./app", "--help"],
      ["./app", "--help"],
    ],
    [["server", "--", ""], [""]],
    [["server", "--"], []],
    [
      ["server", "-", "-v"],
      ["-", "-v"],
    ],
  ])("%j", (argv, expected) => {
    const tokens = readTokens(argv);
    expect(tokens).toMatchObject({ request: "run", problems: [] });
    expect(tokens.behind).toEqual(expected);
  });

  test("reaches the command word for word, through citty", () => {
    const prefix = ["server", "--registry", "ghr://a/b", "-p8000"];
    return fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.string(), flagLike)), async (rest) => {
        const withDashes = await configOf([...prefix, "--", "./app", ...rest]);
        expect(withDashes).toMatchObject({ appCommand: ["./app", ...rest], once: false });
        expect(await configOf([...prefix, "./app", ...rest])).toEqual(withDashes);
      }),
    );
  });
});

describe("refused, with what would be right", () => {
  test.each<[string[], string[]]>([
    [["assets", "--reigstry", "x"], ["unknown flag --reigstry; did you mean --registry?"]],
    [["assets", "--onec", "--keep", "1"], ["unknown flag --onec; did you mean --once?"]],
    [["assets", "--logLevel", "debug"], ["unknown flag --logLevel; did you mean --log-level?"]],
    [["assets", "--log_level=debug"], ["unknown flag --log_level; did you mean --log-level?"]],
    [["assets", "--report"], ["unknown flag --report; did you mean --no-report?"]],
    [["assets", "--no-once"], ["unknown flag --no-once; --once has no opposite: leave it out"]],
    [["assets", "--no-registry"], ["unknown flag --no-registry; --registry has no opposite: leave it out"]],
    [["assets", "--noReport"], ["unknown flag --noReport; did you mean --no-report?"]],
    [["assets", "--Once"], ["unknown flag --Once; did you mean --once?"]],
    [["assets", "--frobnicate", "x"], ["unknown flag --frobnicate; see dewy help"]],
    [["assets", "--toString"], ["unknown flag --toString; see dewy help"]],
    [["assets", "--__proto__=x"], ["unknown flag --__proto__; see dewy help"]],
    [["assets", "--=x"], ["unknown flag --; see dewy help"]],
    [["assets", "-x"], ["unknown flag -x; see dewy help"]],
    [["assets", "-hv"], ["unknown flag -hv; see dewy help"]],
    [["assets", "-once"], ["unknown flag -once; write --once"]],
    [["server", "-port", "8000"], ["unknown flag -port; write --port"]],
    [["assets", "-interval=5s"], ["unknown flag -interval; write --interval"]],
    [["assets", "--registry"], ["--registry needs a value; write --registry URL"]],
    [["assets", "--registry="], ["--registry needs a value; write --registry URL"]],
    [["assets", "--registry", ""], ["--registry needs a value; write --registry URL"]],
    [["assets", "-s"], ["-s needs a value; write --slot NAME"]],
    [["assets", "-s="], ["-s needs a value; write --slot NAME"]],
    [["assets", "--slot", "--once"], ["--slot needs a value; write --slot NAME"]],
    [
      ["assets", "--slot", "--", "x"],
      [
        "--slot needs a value; write --slot NAME",
        "assets runs no app; remove what stands behind --, or use dewy server",
      ],
    ],
    [
      ["assets", "--slot", "-x"],
      [
        '--slot needs a value; write --slot NAME, or --slot=VALUE for a value that begins with "-"',
        "unknown flag -x; see dewy help",
      ],
    ],
    [["assets", "--once=yes"], ['--once takes no value but true or false, not "yes"; write --once']],
    [["assets", "--once=", "--keep=1"], ['--once takes no value but true or false, not ""; write --once']],
    [["assets", "--keep", "1", "--keep=1"], ["--keep is given more than once; write it once"]],
    [["assets", "-l", "info", "--log-level", "info"], ["--log-level is given more than once; write it once"]],
    [["assets", "--once", "--once"], ["--once is given more than once; write it once"]],
    [["assets", "--port", "1"], ["--port is no flag of assets; it belongs to server and container"]],
    [["-p", "1", "assets"], ["--port is no flag of assets; it belongs to server and container"]],
    [["status", "--once"], ["--once is no flag of status; it belongs to server and assets"]],
    [
      ["deploy", "v1", "--all", "--last", "2"],
      [
        "--all is no flag of deploy; it belongs to status and history and check and hold and resume and retry and restart and reload",
        "--last is no flag of deploy; it belongs to history and logs",
      ],
    ],
    [["deploy"], ["dewy deploy needs a TAG; write dewy deploy TAG"]],
    [["deploy", "v1", "v2"], ['unexpected "v2"; dewy deploy takes one TAG']],
    [["completion"], ["dewy completion needs a SHELL; write dewy completion bash|zsh|fish"]],
    [["completion", "tcsh"], ['"tcsh" is no SHELL that is known; write bash, zsh, fish']],
    [["status", "v1"], ['unexpected "v1"; dewy status takes flags only']],
    [["--version", "--once"], ["--once does not go with --version; it belongs to server and assets"]],
    [
      ["assets", "x", "y"],
      ['unexpected "x"; dewy assets takes flags only', 'unexpected "y"; dewy assets takes flags only'],
    ],
    [["assets", "--", "./app"], ["assets runs no app; remove what stands behind --, or use dewy server"]],
    [["status", "--", "./app"], ["status runs no app; remove what stands behind --, or use dewy server"]],
    [["sevrer", "x"], ['unknown command "sevrer"; did you mean server?']],
    [["toString"], ['unknown command "toString"; `dewy help` names the commands']],
    [[], ["no command is given; `dewy help` names the commands"]],
    [["--once"], ["no command is given; `dewy help` names the commands"]],
    [["--", "server"], ["no command is given; `dewy help` names the commands"]],
    [["help", "sttaus"], ['there is no help on "sttaus"; did you mean status?']],
    [["", "server"], ['unknown command ""; `dewy help` names the commands']],
  ])("%j", (argv, expected) => {
    expect(problems(...argv)).toEqual(expected);
  });

  test("all at once", () => {
    expect(problems("--bogus", "assets", "--port", "--onec", "--keep=1", "--keep=2", "./app")).toHaveLength(
      6,
    );
  });

  test("a typed command after an unknown flag is still the command", () => {
    expect(readTokens(["--bogus", "assets"]).command).toBe("assets");
    expect(readTokens(["--bogus", "x", "assets"]).command).toBe("assets");
  });
});

describe("help and version", () => {
  test.each<[string[], string, string | null]>([
    [["--help"], "help", null],
    [["-h"], "help", null],
    [["help"], "help", null],
    [["help", "assets"], "help", "assets"],
    [["assets", "--help"], "help", "assets"],
    [["--help", "assets"], "help", "assets"],
    [["assets", "--bogus", "--registry", "--help"], "help", "assets"],
    [["--version"], "version", null],
    [["-v", "-f", "json"], "version", null],
    [["assets", "-v"], "version", "assets"],
    [["-h", "-v"], "help", null],
    [["--help=false", "assets"], "run", "assets"],
    [["server", "./app", "-h"], "run", "server"],
    [["server", "--", "-v"], "run", "server"],
  ])("%j asks for %s of %s", (argv, request, command) => {
    expect(readTokens(argv)).toMatchObject({ request, command, problems: [] });
  });
});

const names = flags.flatMap((flag) => [
  "short" in flag ? `-${flag.short}` : `--${flag.name}`,
  `--${flag.name}`,
]);
const flagLike = fc.oneof(
  fc.constantFrom(...names, ...commandNames, "help", "--", "-", "", "--no-once", "--logLevel", "-p=1", "-p1"),
  fc.tuple(fc.constantFrom(...names), fc.string()).map(([name, value]) => `${name}=${value}`),
  fc.string().map((text) => `--${text}`),
  fc.string().map((text) => `-${text}`),
);

test("any arguments are either understood or refused with words, and nothing throws", () => {
  return fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(fc.string(), flagLike)), async (argv) => {
      const { code, stdout, errors, ran } = await dewy(argv);
      const answered = stdout !== "" || ran !== null;
      expect(code).toBe(answered ? 0 : 1);
      expect(errors.length > 0).toBe(!answered);
      expect(errors.every((line) => line.startsWith("Error: ") && line.length > 10)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

describe("a word that belongs to the command", () => {
  test.each<[string[], string | null, Record<string, string[]>]>([
    [["deploy", "v1.2.3"], "v1.2.3", {}],
    [["deploy", "--root", "/srv", "v1.2.3"], "v1.2.3", { root: ["/srv"] }],
    [["--root", "/srv", "deploy", "v1.2.3", "--json"], "v1.2.3", { root: ["/srv"], json: ["true"] }],
    [["rollback"], null, {}],
    [["rollback", "status"], "status", {}],
  ])("%j", (argv, argument, values) => {
    const tokens = readTokens(argv);
    expect(tokens.problems).toEqual([]);
    expect(tokens.argument).toBe(argument);
    expect(Object.fromEntries(tokens.values)).toEqual(values);
  });
});

describe("a letter that two commands use", () => {
  test.each<[string[], string]>([
    [["history", "-n", "5"], "last"],
    [["-n", "5", "history"], "last"],
    [["-n5", "logs"], "last"],
    [["container", "-n", "app"], "name"],
    [["-n", "app", "container"], "name"],
  ])("%j means that of the command", (argv, name) => {
    const tokens = readTokens(argv);
    expect(tokens.problems).toEqual([]);
    expect([...tokens.values.keys()]).toEqual([name]);
  });

  test("is refused by a command that has neither", () => {
    expect(readTokens(["-n", "5", "status"]).problems).toHaveLength(1);
  });
});
