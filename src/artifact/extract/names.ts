import { refused } from "./refusal.ts";

const maxPathBytes = 4096;
const maxComponentBytes = 255;
// Removing a tree thousands deep keeps the agent busy for many seconds.
const maxDepth = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const control = /[\u0000-\u001f\u007f-\u009f]/;
const packHint = "pack from inside the release's directory: tar -C dist -czf app.tar.gz .";

/**
 * The path below the release's root that an entry's name stands for: components joined by "/", without ".",
 * empty and trailing ones; "" is the root itself. Case and Unicode form are kept as they are.
 * `archive-refused` for empty and absolute names, "..", control characters (NUL too), text that was not
 * UTF-8, components over 255 bytes, names over 4096 and over 256 components.
 */
export function releasePath(name: string): string {
  if (name === "") throw refused(name, "has an empty name", packHint);
  checkText(name, name, "has a name that");
  if (name.startsWith("/")) throw refused(name, "has an absolute name", packHint);
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") throw refused(name, 'has ".." in its name', packHint);
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (part.length * 3 > maxComponentBytes && Buffer.byteLength(part) > maxComponentBytes) {
      throw refused(name, `has a name component over ${maxComponentBytes} bytes`, "shorten the name");
    }
    parts.push(part);
  }
  if (parts.length > maxDepth) throw refused(name, `is over ${maxDepth} directories deep`, "flatten it");
  return parts.join("/");
}

/** Refuses text no file of a release is called by, and no link points to. `what` goes before "has …". */
export function checkText(name: string, text: string, what: string): void {
  if (control.test(text)) {
    throw refused(name, `${what} has control characters`, "rename the file before packing");
  }
  // Decoders put U+FFFD for what is not UTF-8: two different names could become one.
  if (text.includes("\ufffd")) {
    throw refused(name, `${what} is not valid UTF-8`, "rename the file to UTF-8 before packing");
  }
  if (text.length * 3 > maxPathBytes && Buffer.byteLength(text) > maxPathBytes) {
    throw refused(name, `${what} is over ${maxPathBytes} bytes`, "shorten the name");
  }
}

/**
 * The permission bits an entry gets: its own, less write for group and others, as a plain user's `tar x` with
 * umask 022 leaves them. Setuid, setgid and sticky are refused: the agent may be root, a release must not
 * become it. `mode` may carry file type bits; they are ignored.
 */
export function permissions(name: string, mode: number): number {
  const special = mode & 0o7000;
  if (special !== 0) {
    const which = special & 0o4000 ? "setuid" : special & 0o2000 ? "setgid" : "the sticky bit";
    throw refused(name, `has ${which} set`, "clear it before packing: chmod u-s,g-s,-t");
  }
  return mode & 0o777 & ~0o022;
}
