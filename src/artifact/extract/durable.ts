import { closeSync, fsyncSync, openSync, readdirSync } from "node:fs";
import { toDewyError } from "../../errors.ts";
import { LibcError, syncfs } from "../../util/libc.ts";

/**
 * Returns when all files and names below `root` are on disk. One syncfs(2) for the whole file system: an fsync
 * for each file takes several times as long. Where there is no syncfs, file by file.
 */
export function syncDirectoryTree(root: string): void {
  const fd = openSync(root, "r");
  try {
    syncfs(fd);
  } catch (error) {
    if (error instanceof LibcError) throw toDewyError(error, `sync ${root} to disk`);
    syncEach(root);
  } finally {
    closeSync(fd);
  }
}

function syncEach(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) syncEach(path);
    else if (entry.isFile()) fsyncPath(path);
  }
  fsyncPath(directory);
}

function fsyncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
