import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";

/** A file system that `scripts/roots` makes. */
export function builtRoot(name: "debian" | "alpine" | "arm64" | "alpine-arm64"): string {
  const cache = process.env["DEWY_TEST_CACHE"] ?? join(homedir(), ".cache/dewy-test");
  const path = join(cache, "roots", name);
  if (!existsSync(`${path}.recipe`)) throw new Error(`${path} is missing: run ./scripts/roots`);
  return path;
}

/** What `./scripts/build --all` makes. */
export function builtFile(name: string): string {
  const path = join(process.env["DEWY_DIST"] ?? "dist", name);
  if (!existsSync(path)) throw new Error(`${path} is missing: run ./scripts/build --all`);
  return path;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Else root. */
  readonly user?: number;
  readonly cwd?: string;
}

/**
 * A fresh host to change at will: a layer over the built one in a mount namespace, with this machine's network, /dev
 * and /proc. Needs root. Ends with this process, however that ends.
 */
export class TestRoot implements AsyncDisposable {
  readonly #directory = tempDir();
  readonly #keeper: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(built: string) {
    for (const name of ["upper", "work", "root"]) mkdirSync(join(this.#directory.path, name));
    const script = `
      mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root" &&
      mount --rbind /proc "$2/root/proc" && mount --rbind /dev "$2/root/dev" && echo mounted && exec cat`;
    this.#keeper = Bun.spawn(
      [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
        "sh",
        built,
        this.#directory.path,
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
  }

  static async open(name: "debian" | "alpine"): Promise<TestRoot> {
    const root = new TestRoot(builtRoot(name));
    const { value } = await root.#keeper.stdout.getReader().read();
    if (value === undefined) throw new Error(`${name} could not be mounted; that needs root`);
    return root;
  }

  /** Where the test finds a file of the root. */
  path(file: string): string {
    return `/proc/${this.#keeper.pid}/root${this.#directory.path}/root${file}`;
  }

  names(directory: string): string[] {
    return existsSync(this.path(directory)) ? readdirSync(this.path(directory)).sort() : [];
  }

  /** The command that runs `command` in there, with nothing of this process's environment. */
  command(command: readonly string[], { env = {}, user = 0, cwd = "/" }: RunOptions = {}): string[] {
    const variables = { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", HOME: "/root", ...env };
    return [
      ...["nsenter", `--mount=/proc/${this.#keeper.pid}/ns/mnt`],
      ...["chroot", `--userspec=${user}:${user}`, "--groups=", join(this.#directory.path, "root")],
      ...["/usr/bin/env", "-i", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`)],
      ...["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, ...command],
    ];
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<{ code: number; output: string }> {
    const child = Bun.spawn([...this.command(command, options)], { stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, output: stdout + stderr };
  }

  /** A small file system of its own at a directory, until the end. */
  async mount(directory: string, options: string): Promise<void> {
    const namespace = `--mount=/proc/${this.#keeper.pid}/ns/mnt`;
    const place = join(this.#directory.path, "root", directory);
    const mount = Bun.spawn(["nsenter", namespace, "mount", "-t", "tmpfs", "-o", options, "tmpfs", place]);
    if ((await mount.exited) !== 0) throw new Error(`nothing could be mounted at ${directory}`);
  }

  sh(script: string, options: RunOptions = {}): Promise<{ code: number; output: string }> {
    return this.run(["/bin/sh", "-c", script], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper.stdin.end();
    await this.#keeper.exited;
    this.#directory[Symbol.dispose]();
  }
}
