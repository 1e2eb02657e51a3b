import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { DewyError, toDewyError } from "../errors.ts";
import { fsyncDirectory, isAbsent } from "../util/fs.ts";
import type { User } from "../util/user.ts";
import { actsFor, weakSpot } from "../util/weak-spot.ts";

/** What outlives releases, and where they have it. */
export interface ReleaseLink {
  /** Absolute, or below the agent's root. */
  readonly from: string;
  /** Below the release: names by single slashes. */
  readonly to: string;
}

/** The names in a root that are the agent's own: a link into them would lead a release into itself or another. */
const ownNames = ["releases", "current", ".dewy"];

/** Repositories can't hold an empty directory: these stand in for nothing. */
const placeholders = new Set([".keep", ".gitkeep"]);

/** With absolute sources. `config-invalid`: one that is the agent's own, or holds it. */
export function resolveLinks(links: readonly ReleaseLink[], root: string): ReleaseLink[] {
  return links.map(({ from, to }) => {
    const source = resolve(root, from);
    for (const path of [source, onDisk(source)]) checkSource(path, root, `--link ${from}:${to}`);
    return { from: source, to };
  });
}

function checkSource(path: string, root: string, flag: string): void {
  if (isWithin(root, path)) {
    throw new DewyError("config-invalid", `${flag} would link the releases into themselves`, {
      hint: "name something inside the directory, for example shared/log:log",
    });
  }
  const own = ownNames.find((name) => isWithin(path, join(root, name)));
  if (own === undefined) return;
  throw new DewyError("config-invalid", `${flag} is in ${own}, which is dewy's own`, {
    hint: "keep what outlives releases beside it, for example in shared",
  });
}

/** Where a path really leads, as far as it exists. */
function onDisk(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(onDisk(dirname(path)), path.slice(dirname(path).length));
  }
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way === "" || !(way === ".." || way.startsWith("../") || isAbsolute(way));
}

/**
 * Puts the links into a release that nobody sees yet, on disk when it returns. What is missing of the sources becomes
 * a directory of the owner's. Fails with `archive-refused` when the release has something else at a link's place.
 */
export function linkPaths(
  release: string,
  links: readonly ReleaseLink[],
  { root, owner }: { root: string; owner: User | null },
): void {
  for (const link of links) {
    try {
      makeSource(link.from, owner);
      const at = clearPlace(release, link);
      makeLink(at, link.from, root);
    } catch (error) {
      throw toDewyError(error, `link ${link.from} to ${link.to} in the release`);
    }
  }
}

/**
 * Fails with `config-invalid` where something is to be made for the app's user in a directory of his own: by a link
 * there he would have root make and give him whatever he likes.
 */
export function checkSources(links: readonly ReleaseLink[], user: User | null): void {
  for (const { from } of links) if (!existsSync(from)) checkMayMake(from, user);
}

function checkMayMake(from: string, owner: User | null): void {
  const weak = actsFor(owner) ? weakSpot(dirname(from), owner) : null;
  if (owner === null || weak === null) return;
  throw new DewyError(
    "config-invalid",
    `${from} can't be made: ${weak} is open to user ${owner.name ?? owner.uid}`,
    {
      hint: "make it as that user, or let root own what is above it",
    },
  );
}

/** What is there belongs to the operator; only what is made here is given away. */
function makeSource(from: string, owner: User | null): void {
  if (existsSync(from)) return;
  checkMayMake(from, owner);
  const first = mkdirSync(from, { recursive: true, mode: 0o755 });
  if (owner !== null) lchownSync(from, owner.uid, owner.gid);
  if (first === undefined) return;
  for (let path = from; isWithin(path, first); path = dirname(path)) fsyncDirectory(dirname(path));
}

/** The link's path, with nothing there and directories above: no link of the archive is followed. */
function clearPlace(release: string, { from, to }: ReleaseLink): string {
  const names = to.split("/");
  const last = names.pop() ?? "";
  let above = release;
  for (const name of names) {
    above = join(above, name);
    const there = whatIs(above);
    if (there === null) makeDirectory(above);
    else if (!there.isDirectory()) throw inTheWay(above.slice(release.length + 1), there, from);
  }
  const path = join(above, last);
  const there = whatIs(path);
  if (there !== null && !(there.isDirectory() && removeIfEmpty(path))) throw inTheWay(to, there, from);
  return path;
}

function makeDirectory(path: string): void {
  mkdirSync(path);
  // Whatever the umask: an app of another user has to get in.
  chmodSync(path, 0o755);
  fsyncDirectory(dirname(path));
}

/** Whether it was, and is gone. */
function removeIfEmpty(directory: string): boolean {
  const entries = readdirSync(directory, { withFileTypes: true });
  if (!entries.every((entry) => entry.isFile() && placeholders.has(entry.name))) return false;
  for (const { name } of entries) unlinkSync(join(directory, name));
  rmdirSync(directory);
  return true;
}

/** Relative within the root, so that all of it may be moved. */
function makeLink(at: string, from: string, root: string): void {
  symlinkSync(isWithin(from, root) ? relative(dirname(at), from) : from, at);
  // `releases` may itself lead to another disk, from where the way back is another one.
  if (!existsSync(at) || realpathSync(at) !== realpathSync(from)) {
    unlinkSync(at);
    symlinkSync(from, at);
  }
  fsyncDirectory(dirname(at));
}

function whatIs(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function inTheWay(path: string, there: Stats, from: string): DewyError {
  const kind = there.isSymbolicLink()
    ? "a link"
    : there.isDirectory()
      ? "a directory with content"
      : "a file";
  return new DewyError(
    "archive-refused",
    `the release brings ${kind} at ${path}, where --link puts ${from}`,
    {
      hint: `leave ${path} out of the archive, or link to another place`,
    },
  );
}
