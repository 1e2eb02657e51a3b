import { describe, expect, test } from "bun:test";
import { commandNames, commands, exitCodes } from "../../src/cli/arguments/commands.ts";
import type { FlagSpec } from "../../src/cli/arguments/flag-groups/spec.ts";
import { flags, flagsOf } from "../../src/cli/arguments/flags.ts";
import { environment } from "../../src/cli/arguments/variables.ts";
import { dewy } from "./support.ts";

const help = async (argv: string[], columns?: number) => {
  const { code, stdout, errors } = await dewy(argv, { columns });
  expect({ code, errors }).toEqual({ code: 0, errors: [] });
  return stdout;
};

describe("dewy --help", () => {
  test("names every command, variable and exit code", async () => {
    const text = await help(["--help"]);
    for (const command of commands)
      expect(text).toContain(`  ${command.name.padEnd(14)}  ${command.summary}`);
    for (const variable of environment) expect(text).toContain(`  ${variable.name}`);
    for (const [code, meaning] of exitCodes)
      expect(text).toContain(`\n  ${String(code).padEnd(3)}  ${meaning.slice(0, 40)}`);
    expect(await help(["help"])).toBe(text);
  });
});

describe.each(commandNames)("dewy help %s", (name) => {
  test("explains each of its flags once, with its default, and no other", async () => {
    const lines = (await help(["help", name], 1000)).split("\n");
    const shown = lines.flatMap((line) => /^ {2}(?:-\w, | {4})(--[a-z-]+)/.exec(line)?.[1] ?? []);
    expect(shown.toSorted()).toEqual(
      flagsOf(name)
        .map((flag) => `--${flag.name}`)
        .toSorted(),
    );
    const text = lines.join(" ").replaceAll(/\s+/g, " ");
    for (const flag of flagsOf(name)) {
      expect(text).toContain(flag.help);
      const fallback = flag.defaultText ?? flag.default;
      if (fallback !== undefined) expect(text).toContain(`default ${fallback})`);
    }
  });

  test("is the same as with --help, before or behind the command", async () => {
    const text = await help(["help", name]);
    expect(await help([name, "--help"])).toBe(text);
    expect(await help(["-h", name])).toBe(text);
  });
});

test("an agent's variables have those of Slack's and OpenTelemetry's addresses and trust", async () => {
  const text = await help(["help", "server"]);
  for (const name of ["SLACK_API_URL", "OTEL_EXPORTER_OTLP_CERTIFICATE", "…_TIMEOUT"]) {
    expect(text).toContain(name);
  }
  expect(text).toMatch(/on=deploy,error or\s+quiet=true/);
});

test.each([60, 80, 100, 120])(
  "no line is wider than a terminal of %p columns, nor than 100",
  async (columns) => {
    for (const argv of [["help"], ...commandNames.map((name) => ["help", name])]) {
      for (const line of (await help(argv, columns)).split("\n")) {
        // Usage lines and examples are for copying: they are not wrapped, and fit 80 columns.
        expect(line.length).toBeLessThanOrEqual(line.startsWith("  dewy ") ? 80 : Math.min(100, columns));
      }
    }
  },
);

test("a name means the same to the reader of arguments, whichever command it is for", () => {
  const forms: readonly FlagSpec[] = flags;
  const byName = new Map<string, string>();
  for (const { name, short, value, repeats } of forms) {
    const form = JSON.stringify([short, value === null, repeats === true]);
    expect(byName.get(name) ?? form).toBe(form);
    byName.set(name, form);
  }
  // A letter may stand for different flags of different commands, if both take a value or neither does.
  for (const letter of new Set(forms.flatMap(({ short }) => short ?? []))) {
    const same = forms.filter(({ short }) => short === letter);
    expect(new Set(same.map(({ value }) => value === null)).size).toBe(1);
    const owners = same.flatMap(({ name, commands: own }) => own.map((owner) => [owner, name] as const));
    for (const [owner, name] of owners) {
      expect(owners.filter(([other, another]) => other === owner && another !== name)).toEqual([]);
    }
  }
  const owned = forms.flatMap(({ name, commands: owners }) => owners.map((owner) => `${owner} ${name}`));
  expect(new Set(owned).size).toBe(owned.length);
});
