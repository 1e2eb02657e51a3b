import * as v from "valibot";
import { type Problem, problemOf, problemText } from "./problem.ts";

/** A text that `parse` reads; what it throws becomes the issue. */
export function text<T>(parse: (value: string) => T) {
  return v.pipe(
    v.string("is not set"),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: problemText(problemOf(error)) });
        return NEVER;
      }
    }),
  );
}

/** All values of a repeated flag, read together; each problem becomes an issue. */
export function texts<T>(parse: (values: readonly string[]) => { value: T; problems: readonly Problem[] }) {
  return v.pipe(
    v.array(v.string()),
    v.rawTransform<string[], T>(({ dataset, addIssue, NEVER }) => {
      const { value, problems } = parse(dataset.value);
      for (const problem of problems) addIssue({ message: problemText(problem) });
      return problems.length === 0 ? value : NEVER;
    }),
  );
}

export function choice<const T extends readonly string[]>(options: T) {
  return v.picklist(options, (issue) => `${issue.received} is unknown; write ${options.join(", ")}`);
}

export const asIs = (value: string) => value;
