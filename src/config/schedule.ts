import type { Rules } from "../schedule/evaluate.ts";
import { neverOpens } from "../schedule/openings.ts";
import { parseWindow } from "../schedule/parse.ts";
import type { Window } from "../schedule/window.ts";
import { type Problem, problemOf } from "./problem.ts";
import { text, texts } from "./schema.ts";
import { durationFrom } from "./values.ts";

export const scheduleEntries = {
  window: texts(parseWindows),
  "min-age": text(durationFrom(0)),
  jitter: text(durationFrom(0)),
};

export function toSchedule(input: {
  readonly window: readonly Window[];
  readonly "min-age": number;
  readonly jitter: number;
}): Rules {
  return { windows: input.window, minAgeMs: input["min-age"], jitterMs: input.jitter };
}

function parseWindows(values: readonly string[]): { value: Window[]; problems: Problem[] } {
  const value: Window[] = [];
  const problems: Problem[] = [];
  for (const each of values) {
    try {
      value.push(parseWindow(each));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  if (problems.length === 0 && neverOpens(value, Date.now())) {
    problems.push({
      message: `${values.map((each) => `"${each}"`).join(", ")} leaves no moment to deploy in, for ten years or for ever`,
      hint: "make the windows wider, or what stands behind ! shorter",
    });
  }
  return { value, problems };
}
