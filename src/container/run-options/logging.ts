import type { Draft } from "./draft.ts";
import { list, type OptionSpec, single } from "./option.ts";
import type { Conflict } from "./problem.ts";
import { pairOf } from "./values.ts";

export const loggingOptions: readonly OptionSpec[] = [
  single("log-driver", (draft, driver) => {
    draft.host.LogConfig = { Type: driver, Config: draft.host.LogConfig?.Config ?? {} };
  }),
  list("log-opt", (draft, text) => {
    const [key, value] = pairOf(text, "--log-opt max-size=10m");
    const { Type, Config } = draft.host.LogConfig ?? { Type: "", Config: {} };
    draft.host.LogConfig = { Type, Config: { ...Config, [key]: value } };
  }),
];

export function loggingConflicts(draft: Draft): Conflict[] {
  const { Type, Config } = draft.host.LogConfig ?? { Type: "", Config: {} };
  if (Type !== "none" || Object.keys(Config).length === 0) return [];
  return [
    {
      message: "--log-opt has no use with --log-driver none",
      hint: "leave one of them out",
      between: ["log-driver", "log-opt"],
    },
  ];
}
