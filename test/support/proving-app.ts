import { readFileSync } from "node:fs";
import type { AppFiles } from "./host.ts";

/** How a release behaves; `proving-app.py` says what each means, `missing` has no program, `unrunnable` one that no kernel starts. */
export type ProvingMode =
  | "good"
  | "missing"
  | "unrunnable"
  | "exits-at-once"
  | "exits-later"
  | "deaf"
  | "late"
  | "hangs"
  | "hangs up"
  | "errors"
  | "errors up"
  | "crashes"
  | "sickens";

/** Runs as it is: no interpreter is named but in its first line. */
export const provingCommand: readonly string[] = ["./current/app"];

const source = readFileSync("test/support/proving-app.py", "utf8");

export function provingApp(version: string, mode: ProvingMode): AppFiles {
  const about = { VERSION: `${version}\n`, MODE: `${mode}\n` };
  if (mode === "missing") return about;
  return { ...about, app: mode === "unrunnable" ? "#!/no/such/interpreter\n" : source };
}
