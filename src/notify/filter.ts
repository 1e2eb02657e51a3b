import { DewyError } from "../errors.ts";
import type { DeployEvent } from "../events.ts";
import { unreachable } from "../util/assert.ts";
import { flag } from "../util/query.ts";

export const eventClasses = ["deploy", "error", "hook", "agent"] as const;
export type EventClass = (typeof eventClasses)[number];

/** Whether a notifier wants to be told of an event. */
export type Filter = (event: DeployEvent) => boolean;

/** What every notifier's URL takes, for readQuery: `on=error,deploy` and `quiet=true`. */
export const filterParams = {
  on: (value: string): readonly EventClass[] => value.split(",").map(eventClass),
  quiet: flag,
};

interface FilterQuery {
  readonly on: readonly EventClass[] | null;
  readonly quiet: boolean | null;
}

/** Both have a say. `config-invalid` where together they let nothing through. */
export function filterOf({ on, quiet }: FilterQuery): Filter {
  if (quiet === true && on?.every((name) => name === "agent") === true) {
    throw new DewyError("config-invalid", "a notifier with on=agent and quiet=true is never told anything", {
      hint: "leave one of the two out",
    });
  }
  return (event) => {
    // What is missing concerns whoever it was meant for; only those are told of it.
    if (event.kind === "dropped") return true;
    const classes = classesOf(event);
    return (on === null || classes.some((name) => on.includes(name))) && (quiet !== true || isLoud(event));
  };
}

/** The compatibility sheet's quiet: deploys, errors and failed hooks. How a deploy goes on the way is no deploy yet. */
function isLoud(event: DeployEvent): boolean {
  return event.kind === "deployed" || classesOf(event).includes("error");
}

function classesOf(event: DeployEvent): readonly EventClass[] {
  switch (event.kind) {
    case "deploying":
    case "deployed":
    case "downloaded":
    case "pulled":
      return ["deploy"];
    case "rolled-back":
      return ["deploy", "error"];
    case "failed":
    case "quarantined":
    case "stranded":
    case "crashed":
    case "replica-lost":
    case "recovered":
    case "dropped":
      return ["error"];
    case "hook":
      return event.result.exitCode === 0 ? ["hook"] : ["hook", "error"];
    case "agent-started":
    case "agent-stopping":
    case "restarted":
      return ["agent"];
    default:
      return unreachable(event);
  }
}

function eventClass(text: string): EventClass {
  const found = eventClasses.find((name) => name === text);
  if (found === undefined) throw new Error(`holds "${text}"; write some of ${eventClasses.join(",")}`);
  return found;
}
