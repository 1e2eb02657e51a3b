import type { LiveSettings } from "../../agent/live.ts";
import type { AgentConfig } from "../../config/config.ts";
import { type Problem, problemText } from "../../config/problem.ts";
import { DewyError } from "../../errors.ts";
import type { Layers } from "./layers.ts";
import { liveSettings } from "./live-settings.ts";

/** A configuration that was read, with where it comes from, or what is wrong with it. */
export type Loaded =
  | { readonly config: AgentConfig; readonly layers: Layers }
  | { readonly problems: readonly Problem[] };

/** The flags that need no restart. */
const live = [
  "interval",
  "before-deploy-hook",
  "after-deploy-hook",
  "hook-failure",
  "hook-timeout",
  "window",
  "min-age",
  "jitter",
  "keep",
  "soak",
  "log-level",
];

/**
 * The settings as the file says them now. Throws `config-invalid`, and nothing is to change, where it can't be read,
 * has a mistake, or says something else of what is fixed from the start.
 */
export async function reloadSettings(before: Layers, load: () => Promise<Loaded>): Promise<LiveSettings> {
  const loaded = await load();
  if ("problems" in loaded) {
    throw new DewyError("config-invalid", loaded.problems.map(problemText).join("; "), {
      hint: "dewy goes on as before; correct it and reload again",
    });
  }
  const fixed = changes(before, loaded.layers).filter((name) => !live.includes(name));
  if (fixed.length > 0) {
    throw new DewyError("config-invalid", `${fixed.join(", ")} can't be changed while dewy runs`, {
      hint: "nothing was changed; restart dewy, or take it back",
    });
  }
  return liveSettings(loaded.config);
}

/** The names of all that differ. */
function changes(before: Layers, after: Layers): string[] {
  const flags = new Set([...before.tokens.values.keys(), ...after.tokens.values.keys()]);
  const changed = [...flags].filter(
    (name) => !isSame(before.tokens.values.get(name), after.tokens.values.get(name)),
  );
  if (!isSame(before.tokens.behind, after.tokens.behind)) {
    changed.push(before.tokens.command === "container" ? "options" : "app");
  }
  const variables = new Set([
    ...(before.file?.variables.keys() ?? []),
    ...(after.file?.variables.keys() ?? []),
  ]);
  changed.push(...[...variables].filter((name) => before.env[name] !== after.env[name]));
  return changed;
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
