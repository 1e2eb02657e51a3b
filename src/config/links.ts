import { invalid, type Problem, problemOf } from "./problem.ts";

/** One `--link`, as it was written. */
export interface LinkSpec {
  /** Absolute, or below the root. */
  readonly from: string;
  /** Below the release: names by single slashes. */
  readonly to: string;
}

const form = "write FROM:TO, for example shared/log:log";

/** The values of `--link`, every one `FROM:TO`. Problems come for all at once. */
export function parseLinks(values: readonly string[]): { specs: LinkSpec[]; problems: Problem[] } {
  const specs: LinkSpec[] = [];
  const problems: Problem[] = [];
  for (const value of values) {
    try {
      const spec = parseLink(value);
      const other = specs.find(
        ({ to }) => `${to}/`.startsWith(`${spec.to}/`) || `${spec.to}/`.startsWith(`${to}/`),
      );
      if (other !== undefined) {
        throw invalid(`"${value}" and "${other.from}:${other.to}" share a place`, "give each its own");
      }
      specs.push(spec);
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return { specs, problems };
}

function parseLink(value: string): LinkSpec {
  // The place in the release is ours to restrict, a path of the host may hold whatever it does.
  const colon = value.lastIndexOf(":");
  const [from, to] = [value.slice(0, colon), value.slice(colon + 1)];
  if (colon < 1 || to === "") throw invalid(`"${value}" is not a pair of paths`, form);
  if (hasControls(value)) throw invalid("holds a control character", form);
  return { from, to: placeIn(to, value) };
}

function placeIn(to: string, value: string): string {
  if (to.startsWith("/")) throw invalid(`"${value}": the place in the release begins with a slash`, form);
  const names = to.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw invalid(`"${value}" leads out of the release`, "write it without ..");
  if (names.length === 0) throw invalid(`"${value}" would replace the whole release`, form);
  return names.join("/");
}

function hasControls(text: string): boolean {
  return [...text].some((char) => char < " " || char === "\u007f");
}
