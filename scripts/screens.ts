/** What the operator's commands show on a terminal, in README.md between two markers: run it with ./scripts/screens. */
import { dewyBinary } from "../test/support/dewy.ts";
import { dyingApp, startCommand, TestHost } from "../test/support/host.ts";
import { until } from "../test/support/until.ts";

const start = "<!-- screens:start -->";
const end = "<!-- screens:end -->";
export const readmePath = `${import.meta.dir}/../README.md`;
const columns = 110;

export interface CapturedScreen {
  readonly command: string;
  readonly text: string;
}

/** A demo agent's life: two good releases, a bad one, and the way back. */
export async function captureScreens(): Promise<CapturedScreen[]> {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.server([], startCommand);
  await agent.logged("Deploy done");
  host.publish("v1.1.0");
  await until("the second deploy", () => host.history().length === 2);
  host.publish("v1.2.0", dyingApp("v1.2.0", 3));
  await until("the bad release is given up", () => host.state().quarantine.length === 1);
  await until("the agent waits", async () =>
    (await show(host.root, "status --json")).includes('"busy": null'),
  );
  const screens: CapturedScreen[] = [];
  for (const command of ["status", "history", "check", "rollback", "status"]) {
    screens.push({ command: `dewy ${command}`, text: await show(host.root, command) });
  }
  return normalised(screens, host.root);
}

/** Runs it on a terminal of its own and answers what stands there at its end. */
async function show(root: string, command: string): Promise<string> {
  const line = `stty cols ${columns} rows 50; exec '${dewyBinary}' ${command} --root '${root}'`;
  const child = Bun.spawn(["script", "-qec", line, "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm", NO_COLOR: "1" },
  });
  const drawn = await new Response(child.stdout).text();
  await child.exited;
  return (
    drawn
      .replaceAll("\r\n", "\n")
      .split("\n")
      .map((each) => each.split("\r\u001b[K").at(-1) ?? "")
      // A check may be under way just then.
      .filter((each) => !/^(Waiting for a|Busy +a) check/.test(each))
      .join("\n")
  );
}

/** The same on every machine and at any time: paths, moments, process numbers. */
function normalised(screens: readonly CapturedScreen[], root: string): CapturedScreen[] {
  const moment = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g;
  const all = screens.flatMap(({ text }) => text.match(moment) ?? []).map((each) => Date.parse(`${each}Z`));
  const shiftMs = Date.parse("2026-12-01T09:00:00Z") - Math.min(...all);
  const shifted = (text: string) =>
    new Date(Date.parse(`${text}Z`) + shiftMs).toISOString().slice(0, 19).replace("T", " ");
  return screens.map(({ command, text }) => ({
    command,
    text: text
      .replaceAll(root, "/opt/myapp")
      .replaceAll(moment, shifted)
      .replaceAll(/\d{8}T\d{6}Z/g, "20261201T090000Z")
      .replaceAll(/pid \d+/g, "pid 4711")
      .trimEnd(),
  }));
}

export function rendered(screens: readonly CapturedScreen[]): string {
  return `\`\`\`console\n${screens.map(({ command, text }) => `$ ${command}\n${text}`).join("\n\n")}\n\`\`\``;
}

/** Without what differs between two captures: numbers, and where lines are wrapped. */
export function shapeOf(text: string): string {
  return text
    .replaceAll(/\n {11}/g, " ")
    .replaceAll(/\d+/g, "0")
    .replaceAll(/0[smh] 0[smh]/g, "0s")
    .replaceAll(/\((in 0s|0s ago)\)/g, "(0s)")
    .replaceAll(/ +/g, " ");
}

/** What stands between the markers; an Error where README.md has not both in order. */
export function screensIn(readme: string): string {
  const from = readme.indexOf(start);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md needs the markers ${start} and ${end}`);
  return readme.slice(from + start.length, to).trim();
}

async function main(mode: string | undefined): Promise<number> {
  const text = rendered(await captureScreens());
  if (mode !== "--write") {
    console.log(text);
    return 0;
  }
  const readme = await Bun.file(readmePath).text();
  const before = screensIn(readme);
  await Bun.write(
    readmePath,
    readme.replace(before, () => text),
  );
  return 0;
}

if (import.meta.main) process.exitCode = await main(Bun.argv[2]);
