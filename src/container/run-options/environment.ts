import { list, type OptionSpec } from "./option.ts";
import { invalid } from "./problem.ts";

export const environmentOptions: readonly OptionSpec[] = [
  list(
    "env",
    (draft, value) => {
      if (value.startsWith("="))
        throw invalid("has a value without a variable's name", "write -e NAME=value");
      draft.env.push(value);
    },
    { short: "e" },
  ),
  list("env-file", (draft, path) => draft.envFiles.push(path)),
];
