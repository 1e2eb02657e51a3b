import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { processIds, processStat } from "../../src/util/procfs.ts";
import { dewyBinary } from "./dewy.ts";
import { refuseSecrets } from "./secrets.ts";
import { until } from "./until.ts";

/** Of those that the units name: this machine's own would start this machine's services. */
const targets = ["sysinit", "basic", "multi-user", "network", "shutdown"];

/** A real systemd in namespaces of its own, with this project's units, its binary and Bun; loopback is this machine's. */
export class SystemdHost implements AsyncDisposable {
  private constructor(
    private readonly directory: string,
    private readonly boot: ReturnType<typeof spawnBoot>,
    /** Of systemd, as this process sees it. */
    private readonly pid: number,
  ) {}

  /** `files`: by their path in the new root, without the first slash. */
  static async boot(files: Readonly<Record<string, string>>): Promise<SystemdHost> {
    const directory = mkdtempSync(join(realpathSync(tmpdir()), "dewy-systemd-"));
    mkdirSync(join(directory, "root"));
    cpSync("packaging/systemd", join(directory, "given/etc/systemd/system"), { recursive: true });
    for (const [path, content] of Object.entries({ ...usualFiles(), ...files })) {
      mkdirSync(dirname(join(directory, "given", path)), { recursive: true });
      writeFileSync(join(directory, "given", path), content);
    }
    const boot = spawnBoot(directory);
    try {
      const pid = await until("systemd runs", () => {
        if (boot.exitCode !== null) throw new Error("it did not start");
        return systemdUnder(boot.pid);
      });
      const host = new SystemdHost(directory, boot, pid);
      await until("systemd answers", () => host.systemctl("is-active", "multi-user.target").code === 0);
      return host;
    } catch (error) {
      const log = readFileSync(join(directory, "log"), "utf8");
      await end(boot, directory);
      throw new Error(`systemd did not boot: ${log}`, { cause: error });
    }
  }

  /** Runs `systemctl` inside. */
  systemctl(...args: string[]): { code: number; output: string } {
    return this.run("systemctl", "--no-pager", "--full", ...args);
  }

  /** Runs a program inside, as root. */
  run(...command: string[]): { code: number; output: string } {
    const enter = ["nsenter", `--target=${this.pid}`, "--mount", "--pid", "--cgroup", "--uts", "--ipc"];
    const { exitCode, stdout, stderr } = Bun.spawnSync([...enter, "--", ...command], { timeout: 120_000 });
    const output = `${stdout}${stderr}`.trim();
    refuseSecrets(output);
    return { code: exitCode, output };
  }

  /** Properties of a unit, by `systemctl show`. */
  show(unit: string, ...names: string[]): Record<string, string> {
    const { output } = this.systemctl("show", unit, `--property=${names.join(",")}`);
    return Object.fromEntries(
      output.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  }

  /** Of a file inside; empty where there is none. */
  read(path: string): string {
    const file = this.path(path);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Where a file inside is found out here. */
  path(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  write(path: string, content: string): void {
    writeFileSync(this.path(path), content);
  }

  /** A directory or file of this machine goes inside. */
  copy(from: string, to: string): void {
    cpSync(from, this.path(to), { recursive: true });
  }

  /** The pid out here of a process inside. */
  outerPid(inner: number): number {
    const found = processIds().find((pid) => {
      const pids = /^NSpid:\s+(.*)$/m.exec(readStatus(pid))?.[1]?.split("\t") ?? [];
      return pids.length > 1 && Number(pids.at(-1)) === inner && sameNamespace(pid, this.pid);
    });
    if (found === undefined) throw new Error(`there is no process ${inner} inside`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.boot, this.directory);
  }
}

function usualFiles(): Record<string, string> {
  const units = targets.map((name) => [
    `etc/systemd/system/${name}.target`,
    "[Unit]\nDefaultDependencies=no\n",
  ]);
  return {
    ...Object.fromEntries(units),
    "etc/passwd": [
      "root:x:0:0:root:/root:/bin/sh",
      "dewy:x:990:990::/var/lib/dewy:/usr/sbin/nologin",
      "app:x:991:991::/:/usr/sbin/nologin\n",
    ].join("\n"),
    "etc/group": "root:x:0:\ndewy:x:990:\napp:x:991:\n",
    "etc/os-release": "ID=test\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
  };
}

function spawnBoot(directory: string) {
  const script = join(import.meta.dir, "systemd-boot.sh");
  const programs = [`dewy=${dewyBinary}`, `bun=${process.execPath}`];
  return Bun.spawn(["/bin/sh", script, join(directory, "root"), join(directory, "given"), ...programs], {
    // Its end is the host's end, however this process ends.
    stdin: "pipe",
    stdout: Bun.file(join(directory, "log")),
    stderr: Bun.file(join(directory, "log")),
    detached: true,
  });
}

/** The first process of the namespaces: a child of unshare's, once it has become systemd. */
function systemdUnder(script: number): number | undefined {
  const stats = processIds().flatMap((pid) => processStat(pid) ?? []);
  const childrenOf = (parent: number) => stats.filter(({ ppid }) => ppid === parent).map(({ pid }) => pid);
  const first = childrenOf(script).flatMap(childrenOf);
  return first.find((pid) => /^Name:\s+systemd$/m.test(readStatus(pid)));
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return ""; // gone
  }
}

function sameNamespace(one: number, other: number): boolean {
  try {
    return readlinkSync(`/proc/${one}/ns/pid`) === readlinkSync(`/proc/${other}/ns/pid`);
  } catch {
    return false; // gone
  }
}

async function end(boot: ReturnType<typeof spawnBoot>, directory: string): Promise<void> {
  await boot.stdin.end();
  await boot.exited;
  rmSync(directory, { recursive: true, force: true });
}
