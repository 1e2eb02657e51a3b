import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { dewyBinary } from "./dewy.ts";
import type { Block, Page } from "./docs-pages.ts";
import { refuseSecrets } from "./secrets.ts";
import { tempDir } from "./temp-dir.ts";

/** A block that is run, and the screen that the page shows below it. */
export interface Step {
  readonly block: Block;
  readonly screen: string | null;
}

/** In order; a block of `text` right below one that is run is what it prints. */
export function stepsOf({ blocks }: Page): readonly Step[] {
  return blocks.flatMap((block, index) => {
    if (!isRun(block)) return [];
    const next = blocks[index + 1];
    return [{ block, screen: next?.language === "text" ? next.text : null }];
  });
}

export function isRun(block: Block): boolean {
  return block.language === "sh" && block.page !== "README.md" && block.mark === null;
}

/** Whether the screen's lines come in the output, in order; `…` stands for anything. */
export function missingLine(screen: string, output: string): string | null {
  const printed = output.split("\n").map((line) => line.trim());
  let from = 0;
  for (const wanted of screen.split("\n")) {
    const pattern = new RegExp(`^${wanted.trim().split("…").map(escaped).join(".*")}$`);
    const at = printed.findIndex((line, index) => index >= from && pattern.test(line));
    if (at < 0) return wanted;
    from = at + 1;
  }
  return null;
}

/** A page is read through in a minute; machines that do much else take several times as long. */
export const pageLimitMs = 400_000;

export interface Surroundings {
  /** Assignments of the page, as they stand there, and what they are here. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** With the machine's own network and processes: an engine's containers are there. */
  readonly onHost?: boolean;
}

/**
 * Runs a page's blocks in one shell, in namespaces of their own: its ports, /srv, /opt, changes of /etc and processes
 * are nobody else's, there is no way out to a network, and all that it started ends with it. Answers what each block
 * printed.
 */
export async function runPage(page: Page, around: Surroundings = {}): Promise<ReadonlyMap<Block, string>> {
  using directory = tempDir();
  const home = join(directory.path, "home");
  const bin = join(directory.path, "bin");
  const etc = join(directory.path, "etc");
  for (const path of [home, bin, etc]) mkdirSync(path);
  symlinkSync(dewyBinary, join(bin, "dewy"));
  const script = join(directory.path, "page.sh");
  writeFileSync(script, scriptOf(page, around, etc));
  const built = join(process.env["DEWY_TEST_CACHE"] ?? join(homedir(), ".cache/dewy-test"), "bin");
  const path = `${bin}:${built}:${systemPath}`;
  const shell = Bun.spawn(["setpriv", "--pdeathsig", "KILL", ...isolated(around), "sh", "-eu", script], {
    cwd: home,
    env: { PATH: path, HOME: home, USER: "root", LANG: "C.UTF-8", ...around.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  // A page that waits in vain tells where. Its group is the shell's.
  const deadline = setTimeout(() => killGroup(shell.pid), pageLimitMs);
  const outputs = await Promise.all([new Response(shell.stdout).text(), new Response(shell.stderr).text()]);
  const code = await shell.exited;
  clearTimeout(deadline);
  killGroup(shell.pid);
  const [stdout, stderr] = outputs;
  refuseSecrets(stdout + stderr);
  if (code !== 0) throw failure(page, `exit code ${code ?? shell.signalCode}`, stdout, stderr);
  const steps = stepsOf(page);
  return new Map(steps.map(({ block }, index) => [block, between(stdout, block, steps[index + 1]?.block)]));
}

/** What its screens show and it does not print; empty: the page is right. */
export async function wrongScreens(page: Page, around: Surroundings = {}): Promise<readonly string[]> {
  const outputs = await runPage(page, around);
  return stepsOf(page).flatMap(({ block, screen }) => {
    const output = outputs.get(block) ?? "";
    const missing = screen === null ? null : missingLine(screen, output);
    return missing === null ? [] : [`${page.path}:${block.line} does not print: ${missing}\nbut\n${output}`];
  });
}

function scriptOf(page: Page, { settings = {}, onHost = false }: Surroundings, etc: string): string {
  const text = stepsOf(page).map(({ block }) => `echo '${markOf(block)}'\n${block.text}\n`);
  const settled = Object.entries(settings).reduce((script, [given, here]) => {
    if (!script.includes(`\n${given}\n`)) throw new Error(`${page.path} does not set ${given}`);
    return script.replace(`\n${given}\n`, `\n${here}\n`);
  }, text.join(""));
  return `${hiding}${onHost ? "" : ownHost(etc)}${settled}`;
}

function isolated({ onHost = false }: Surroundings): readonly string[] {
  const own = onHost ? [] : ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  return ["unshare", "--mount", ...own];
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // all of them have ended
  }
}

function failure(page: Page, what: string, stdout: string, stderr: string): Error {
  const last = stepsOf(page).findLast(({ block }) => stdout.includes(markOf(block)))?.block;
  return new Error(`${page.path}:${last?.line}: ${what}\n${stdout.slice(-3000)}\n${stderr.slice(-5000)}`);
}

/** No programs of the home directory of whoever runs the tests: another user can't run them. */
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Whatever the machine has there is hidden, not touched. */
const hiding = "for d in /srv /opt; do mount -t tmpfs none $d; done\n";

/** What a page writes to /etc goes to the directory. */
function ownHost(changes: string): string {
  return `ip link set lo up
mkdir ${changes}/upper ${changes}/work
mount -t overlay -o lowerdir=/etc,upperdir=${changes}/upper,workdir=${changes}/work overlay /etc
`;
}

function markOf({ page, line }: Block): string {
  return `=== ${page}:${line}`;
}

function between(output: string, block: Block, next: Block | undefined): string {
  const [, rest = ""] = output.split(`${markOf(block)}\n`);
  return next === undefined ? rest : (rest.split(`${markOf(next)}\n`)[0] ?? "");
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
