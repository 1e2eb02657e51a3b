import { posix } from "node:path";
import type { Bind, Draft } from "./draft.ts";
import { mountOf } from "./mount.ts";
import { list, type OptionSpec, single } from "./option.ts";
import { type Conflict, invalid } from "./problem.ts";
import { bytesOf, containerPath, pairOf } from "./values.ts";

/** Of each group a volume has one at most (moby's volume/mounts/linux_parser.go). */
const modeGroups: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["z", "Z"],
  ["private", "rprivate", "slave", "rslave", "shared", "rshared"],
  ["nocopy"],
  ["consistent", "cached", "delegated"],
];
const propagations = modeGroups[2] ?? [];
const volumeForm = "write source:/path, source:/path:ro or /path";

export const storageOptions: readonly OptionSpec[] = [
  list("volume", addVolume, { short: "v" }),
  list("mount", (draft, text) => {
    const { mount, needs } = mountOf(text);
    draft.mounts.push(mount);
    draft.needs.push(...needs);
  }),
  list("tmpfs", (draft, text) => {
    const [path, options] = cut(text);
    draft.host.Tmpfs = { ...draft.host.Tmpfs, [containerPath(path)]: options };
  }),
  list("volumes-from", (draft, text) => {
    const [container, modes] = cut(text);
    if (container === "") throw invalid(`"${text}" names no container`);
    checkModes(modes, ["ro", "rw", "z", "Z"], text);
    draft.host.VolumesFrom = [...(draft.host.VolumesFrom ?? []), text];
  }),
  single("volume-driver", (draft, driver) => {
    draft.host.VolumeDriver = driver;
  }),
  single("shm-size", (draft, text) => {
    draft.host.ShmSize = bytesOf(text);
  }),
  list("storage-opt", (draft, text) => {
    const [key, value] = pairOf(text, "--storage-opt size=10G");
    draft.host.StorageOpt = { ...draft.host.StorageOpt, [key]: value };
  }),
];

function addVolume(draft: Draft, text: string): void {
  const parts = text.split(":");
  const [first = "", second, modes = ""] = parts;
  if (parts.length > 3 || parts.includes("")) throw invalid(`"${text}" is not a volume`, volumeForm);
  if (second === undefined) {
    draft.config.Volumes = { ...draft.config.Volumes, [containerPath(first)]: {} };
    return;
  }
  const bind: Bind = { source: sourceOf(first), target: containerPath(second), modes };
  const isPath = /^[/.]/.test(first);
  const others = modeGroups
    .flat()
    .filter((mode) => (isPath ? mode !== "nocopy" : !propagations.includes(mode)));
  checkModes(modes, others, text);
  draft.binds.push(bind);
}

/** A path on this host, or a volume's name in the engine's grammar. */
function sourceOf(source: string): string {
  if (source.startsWith("/") || /^\.\.?(\/|$)/.test(source)) return source;
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(source)) return source;
  const hint = source.startsWith("~")
    ? "only a shell knows ~, and only at the start of a word: write the whole path"
    : "write an absolute path, one that starts with ./, or a volume's name";
  throw invalid(`"${source}" is neither a path nor a volume's name`, hint);
}

function checkModes(modes: string, allowed: readonly string[], text: string): void {
  const given = modes === "" ? [] : modes.split(",");
  const unknown = given.find((mode) => !allowed.includes(mode));
  if (unknown !== undefined) {
    throw invalid(
      `"${text}": the mode "${unknown}" does not fit here`,
      `those that do: ${allowed.join(", ")}`,
    );
  }
  const twice = modeGroups.find((group) => given.filter((mode) => group.includes(mode)).length > 1);
  if (twice !== undefined)
    throw invalid(`"${text}": its modes contradict each other`, `write one of ${twice.join(", ")}`);
}

function cut(text: string): [string, string] {
  const at = text.indexOf(":");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** The engine says so too, but only when the first container is made. */
export function storageConflicts(draft: Draft): Conflict[] {
  const targets = [
    ...draft.binds.map(({ target }) => target),
    ...draft.mounts.map(({ Target }) => Target),
    ...Object.keys(draft.host.Tmpfs ?? {}),
  ].map((path) => posix.normalize(path).replace(/\/$/, ""));
  const twice = new Set(targets.filter((path, index) => targets.indexOf(path) < index));
  return [...twice].map((path) => ({
    message: `two mounts go to "${path}" in the container`,
    hint: "leave one of them out",
    between: [],
  }));
}
