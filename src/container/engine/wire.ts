import type { BaseIssue, BaseSchema } from "valibot";
import {
  array,
  boolean,
  getDotPath,
  type InferOutput,
  nullish,
  number,
  object,
  picklist,
  record,
  safeParse,
  string,
  union,
  unknown,
} from "valibot";

/**
 * The Engine API's answers (v1.40 to v1.48, and Podman's of the same), only the fields that are used. What newer
 * versions leave out when it is empty, and Podman gives as null, is nullish.
 */
const binding = object({ HostIp: nullish(string()), HostPort: nullish(string()) });

const containerSchema = object({
  Id: string(),
  Name: string(),
  Image: string(),
  Created: string(),
  RestartCount: nullish(number()),
  State: object({
    Status: string(),
    Pid: nullish(number()),
    ExitCode: nullish(number()),
    OOMKilled: nullish(boolean()),
    Error: nullish(string()),
    StartedAt: nullish(string()),
    Health: nullish(object({ Status: nullish(string()) })),
  }),
  Config: object({ Image: nullish(string()), Labels: nullish(record(string(), string())) }),
  NetworkSettings: nullish(
    object({
      Ports: nullish(record(string(), nullish(array(binding)))),
      Networks: nullish(
        record(
          string(),
          nullish(object({ IPAddress: nullish(string()), GlobalIPv6Address: nullish(string()) })),
        ),
      ),
    }),
  ),
});

const healthcheck = nullish(object({ Test: nullish(array(string())) }));

/** Podman's own image answer, where it differs. */
const checkedSchema = object({ Healthcheck: healthcheck });

const imageSchema = object({
  Id: string(),
  RepoTags: nullish(array(string())),
  RepoDigests: nullish(array(string())),
  // Left out since API 1.44 where the image does not say.
  Created: nullish(string()),
  Size: number(),
  Config: nullish(
    object({
      User: nullish(string()),
      ExposedPorts: nullish(record(string(), unknown())),
      Healthcheck: healthcheck,
    }),
  ),
});

const listedImagesSchema = array(
  object({ Id: string(), RepoTags: nullish(array(string())), RepoDigests: nullish(array(string())) }),
);

const progressSchema = object({
  status: nullish(string()),
  id: nullish(string()),
  error: nullish(string()),
  errorDetail: nullish(object({ message: nullish(string()) })),
  progressDetail: nullish(object({ current: nullish(number()) })),
});

const eventSchema = object({
  Type: nullish(string()),
  Action: string(),
  Actor: object({ ID: string() }),
});

export const containerStates = picklist([
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
]);

export type WireContainer = InferOutput<typeof containerSchema>;
export type WireChecked = InferOutput<typeof checkedSchema>;
export type WireImage = InferOutput<typeof imageSchema>;
export type WireProgress = InferOutput<typeof progressSchema>;

export const readContainer = reader(containerSchema);
export const readLibpodImage = reader(checkedSchema);
export const readImage = reader(imageSchema);
export const readListedImages = reader(listedImagesSchema);
export const readListedContainers = reader(array(object({ Id: string() })));
export const readCreated = reader(object({ Id: string(), Warnings: nullish(array(string())) }));
export const readVersion = reader(object({ Version: string() }));
export const readInfo = reader(object({ SecurityOptions: nullish(array(string())) }));
export const readState = reader(containerStates);
export const readError = reader(object({ message: string(), cause: nullish(union([string(), unknown()])) }));

/** A stream's line; undefined: not one of ours. */
export const progressOf = finder(progressSchema);
export const eventOf = finder(eventSchema);

/** Throws an Error that says what is wrong where. */
function reader<T>(schema: BaseSchema<unknown, T, BaseIssue<unknown>>): (json: unknown) => T {
  return (json) => {
    const result = safeParse(schema, json);
    if (result.success) return result.output;
    const [issue] = result.issues;
    throw new Error(`${getDotPath(issue) ?? "answer"}: ${issue.message}`);
  };
}

function finder<T>(schema: BaseSchema<unknown, T, BaseIssue<unknown>>): (json: unknown) => T | undefined {
  return (json) => {
    const result = safeParse(schema, json);
    return result.success ? result.output : undefined;
  };
}
