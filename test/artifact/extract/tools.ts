import { gzipSync } from "node:zlib";

/** Runs a tool of the system with `input` on its stdin; throws when it fails. */
export function run(command: readonly string[], input?: Uint8Array, cwd?: string): Buffer {
  const result = Bun.spawnSync([...command], {
    ...(input === undefined ? {} : { stdin: input }),
    ...(cwd === undefined ? {} : { cwd }),
    stderr: "pipe",
  });
  if (!result.success) throw new Error(`${command.join(" ")}: ${result.stderr}`);
  return Buffer.from(result.stdout);
}

export function has(tool: string): boolean {
  return Bun.which(tool) !== null;
}

/** How a tar becomes each kind of archive, where the machine has the tool. */
export const compressions: readonly {
  readonly suffix: string;
  readonly tool: string;
  readonly compress: (tar: Uint8Array) => Buffer;
}[] = [
  { suffix: ".tar", tool: "tar", compress: (tar) => Buffer.from(tar) },
  { suffix: ".tar.gz", tool: "tar", compress: (tar) => gzipSync(tar) },
  { suffix: ".tgz", tool: "tar", compress: (tar) => gzipSync(tar) },
  { suffix: ".tar.bz2", tool: "bzip2", compress: (tar) => run(["bzip2", "-c"], tar) },
  { suffix: ".tbz2", tool: "bzip2", compress: (tar) => run(["bzip2", "-c"], tar) },
  { suffix: ".tar.xz", tool: "xz", compress: (tar) => run(["xz", "-c"], tar) },
  { suffix: ".txz", tool: "xz", compress: (tar) => run(["xz", "-c"], tar) },
];
