import { writeFileSync } from "node:fs";
import type { Issued } from "./authority.ts";
import { ReleaseServer } from "./release-server.ts";
import { TestRoot } from "./roots.ts";

/** A root, and a server with a release whose dewy is a script that knows its version only. */
export class Installation implements AsyncDisposable {
  private constructor(
    readonly root: TestRoot,
    readonly server: ReleaseServer,
  ) {}

  static async open(kind: "debian" | "alpine", tls?: Issued): Promise<Installation> {
    const installation = new Installation(await TestRoot.open(kind), new ReleaseServer(tls));
    installation.publish("v1.2.3");
    return installation;
  }

  publish(tag: string, dewy: string = fakeDewy(tag)): void {
    this.server.publish(tag, {
      [glibcName]: dewy,
      [muslName]: dewy,
      "dewy.service": `# one of ${tag}\n`,
      "dewy-template.service": `# many of ${tag}\n`,
      "dewy.sysusers.conf": "u dewy - - -\n",
    });
  }

  /** As the README has it: the script comes by a pipe. */
  install(
    args: readonly string[] = [],
    options: InstallOptions = {},
  ): Promise<{ code: number; output: string }> {
    const { shell = "sh", get = "curl -fsSL", ...run } = options;
    return this.root.sh(
      `${get} ${this.server.url}/latest/download/install.sh | ${shell} -s -- ${args.join(" ")}`,
      run,
    );
  }

  version(path = "/usr/local/bin/dewy"): Promise<string> {
    return this.root.run([path, "--version"]).then(({ output }) => output.split(" ")[2] ?? output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.root[Symbol.asyncDispose]();
  }
}

export interface InstallOptions {
  readonly shell?: string;
  readonly get?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: number;
}

const machine = process.arch === "x64" ? "amd64" : process.arch;
export const glibcName = `dewy-linux-${machine}`;
export const muslName = `${glibcName}-musl`;

export function fakeDewy(tag: string): string {
  return `#!/bin/sh\necho 'dewy version: ${tag} [abcdef0, 2026-01-01T00:00:00Z]'\n${"#".repeat(1 << 16)}\n`;
}

/** A systemctl that knows these units, a line each: name, load, active and sub state. */
export function fakeSystemctl(root: TestRoot, units = ""): void {
  const script = `#!/bin/sh
[ "$1" = list-units ] || exit 0
for argument; do case "$argument" in --state=*) states=,\${argument#*=}, ;; esac; done
echo '${units}' | awk -v states="$states" 'index(states, "," $3 ",")'
`;
  writeFileSync(root.path("/usr/bin/systemctl"), script, { mode: 0o755 });
}

/** As the Go original says it; also another program may be called dewy. */
export const original = "#!/bin/sh\necho 'dewy version: v9.8.1 [0123456, 2025-01-01T00:00:00Z]'\n";
