/** A small file system of its own at `path`, for full and read-only disks. Needs root. */
export function mountTmpfs(
  path: string,
  options: string,
): { remount(mode: "ro" | "rw"): void } & AsyncDisposable {
  run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]);
  return {
    remount: (mode) => run(["mount", "-o", `remount,${mode}`, path]),
    [Symbol.asyncDispose]: async () => run(["umount", "--lazy", path]),
  };
}

function run(command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
