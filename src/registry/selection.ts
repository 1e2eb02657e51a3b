import { DewyError } from "../errors.ts";
import { calverScheme } from "../release/calver.ts";
import type { SelectPolicy } from "../release/select.ts";
import { semverScheme } from "../release/semver.ts";
import { flag, type QueryValues, readQuery, text } from "../util/query.ts";

/** What the URL of a registry that lists tags says of the release to choose. */
export interface SelectionOptions {
  /** The artifact's exact name; null: chosen by platform. */
  readonly artifact: string | null;
  readonly preRelease: boolean;
  /** A semver range. */
  readonly constraint: string | null;
  /** A CalVer format. */
  readonly calver: string | null;
}

/** What the command line says of it. */
export interface HostSelection {
  readonly slot: string | null;
  readonly calver: string | null;
}

/** `?pre-release=true&artifact=NAME&constraint=RANGE&calver=FORMAT` */
export const selectionParams = { "pre-release": flag, artifact: text, constraint: text, calver: text };

/** `config-invalid` where they contradict each other, or can't be understood. */
export function selectionOf(query: QueryValues<typeof selectionParams>): SelectionOptions {
  const { artifact, constraint, calver } = query;
  const selection = { artifact, preRelease: query["pre-release"] ?? false, constraint, calver };
  selectPolicy(selection, { slot: null, calver: null });
  return selection;
}

/** Of a URL that takes nothing else; any other parameter is `config-invalid`. */
export function readSelection(url: URL): SelectionOptions {
  return selectionOf(readQuery(url, selectionParams));
}

/** The rule by which a release is chosen. A constraint is a semver range, so it excludes CalVer. */
export function selectPolicy(selection: SelectionOptions, host: HostSelection): SelectPolicy {
  const { preRelease, constraint } = selection;
  const calver = selection.calver ?? host.calver;
  if (calver !== null && host.calver !== null && calver !== host.calver) {
    throw invalid("calver= and --calver differ", "give the format once");
  }
  if (calver !== null && constraint !== null) {
    throw invalid(
      "constraint= and CalVer exclude each other",
      "a constraint is a semver range; leave it out",
    );
  }
  const scheme = calver === null ? semverScheme(constraint) : calverScheme(calver);
  return { scheme, preRelease, slot: host.slot };
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
