import { checkText } from "./names.ts";
import { refused } from "./refusal.ts";

// As many as Linux follows in one lookup.
const maxHops = 40;
const linkHint = "make it a relative link to something inside the release: ln -sr";

/**
 * Refuses a symbolic link whose target is empty, absolute, has control characters or leaves the release when
 * read as text. `path` is the link's own, below the root.
 */
export function checkTarget(path: string, target: string): void {
  if (target === "") throw refused(path, "is a symbolic link to nothing", linkHint);
  checkText(path, target, "is a symbolic link whose target");
  if (target.startsWith("/")) throw refused(path, "is an absolute symbolic link", linkHint);
  const at = parent(path);
  for (const part of target.split("/")) step(at, part, path);
}

/**
 * Refuses links that leave the release only together: with `here -> .`, `up -> here/..` stays inside as text,
 * and does not on the disk. Follows each link as the kernel would. Missing targets are fine, loops are not.
 */
export function checkChains(links: ReadonlyMap<string, string>): void {
  for (const [path, target] of links) follow(path, target, links);
}

function follow(path: string, target: string, links: ReadonlyMap<string, string>): void {
  const at = parent(path);
  const todo = target.split("/").reverse();
  let hops = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    step(at, part, path);
    const next = links.get(at.join("/"));
    if (next === undefined) continue;
    hops += 1;
    if (hops > maxHops) throw refused(path, "is a symbolic link in a loop", linkHint);
    at.pop();
    todo.push(...next.split("/").reverse());
  }
}

function step(at: string[], part: string, path: string): void {
  if (part === "" || part === ".") return;
  if (part !== "..") {
    at.push(part);
  } else if (at.pop() === undefined) {
    throw refused(path, "is a symbolic link that leaves the release", linkHint);
  }
}

function parent(path: string): string[] {
  return path.split("/").slice(0, -1);
}
