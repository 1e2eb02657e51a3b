import type { Draft } from "./draft.ts";
import { type OptionSpec, single, toggle } from "./option.ts";
import type { Conflict } from "./problem.ts";
import { nanosecondsOf, whole } from "./values.ts";

type Time = "Interval" | "Timeout" | "StartPeriod" | "StartInterval";

export const healthOptions: readonly OptionSpec[] = [
  single("health-cmd", (draft, command) => {
    draft.config.Healthcheck = { ...draft.config.Healthcheck, Test: ["CMD-SHELL", command] };
  }),
  single("health-interval", (draft, text) => setTime(draft, "Interval", text)),
  single("health-timeout", (draft, text) => setTime(draft, "Timeout", text)),
  single("health-start-period", (draft, text) => setTime(draft, "StartPeriod", text)),
  single("health-start-interval", (draft, text) => {
    setTime(draft, "StartInterval", text);
    draft.needs.push({ option: "--health-start-interval", apiVersion: "1.44" });
  }),
  single("health-retries", (draft, text) => {
    const retries = whole(0)(text);
    if (retries > 0) draft.config.Healthcheck = { ...draft.config.Healthcheck, Retries: retries };
  }),
  toggle("no-healthcheck", (draft, on) => {
    draft.noHealthcheck = on;
  }),
];

/** Zero stands for the image's own. */
function setTime(draft: Draft, name: Time, text: string): void {
  const ns = nanosecondsOf(text);
  if (ns > 0) draft.config.Healthcheck = { ...draft.config.Healthcheck, [name]: ns };
}

export function healthConflicts(draft: Draft): Conflict[] {
  if (!draft.noHealthcheck || draft.config.Healthcheck === undefined) return [];
  return [
    {
      message: "--no-healthcheck contradicts --health-*",
      hint: "leave one of them out",
      between: ["no-healthcheck"],
    },
  ];
}
