import type { BaseIssue, BaseSchema } from "valibot";
import {
  array,
  getDotPath,
  type InferOutput,
  nullish,
  number,
  object,
  optional,
  record,
  safeParse,
  string,
} from "valibot";

/** Only the fields that are used, of the formats named beside them. */

/** Docker's config.json. */
const authEntrySchema = object({
  auth: nullish(string()),
  username: nullish(string()),
  password: nullish(string()),
  identitytoken: nullish(string()),
  registrytoken: nullish(string()),
});
const dockerConfigSchema = object({
  auths: nullish(record(string(), authEntrySchema)),
  credsStore: nullish(string()),
  credHelpers: nullish(record(string(), string())),
});

/** What `docker-credential-* get` prints. */
const helperAnswerSchema = object({ Username: string(), Secret: string() });

/** Distribution's token authentication; OAuth2 answers with `access_token`. */
const tokenSchema = object({
  token: nullish(string()),
  access_token: nullish(string()),
  expires_in: nullish(number()),
  issued_at: nullish(string()),
});

/** OCI distribution: `tags` is null once the last one is deleted. */
const tagListSchema = object({ tags: nullish(array(string())) });

/** OCI image manifest and index, Docker's manifest v2 schema 2 and manifest list. */
const descriptorSchema = object({ mediaType: optional(string(), ""), digest: string(), size: number() });
const manifestSchema = object({
  mediaType: nullish(string()),
  config: nullish(descriptorSchema),
  layers: nullish(array(object({ size: number() }))),
  manifests: nullish(
    array(
      object({
        ...descriptorSchema.entries,
        platform: nullish(object({ os: string(), architecture: string(), variant: nullish(string()) })),
        annotations: nullish(record(string(), string())),
      }),
    ),
  ),
});
const imageConfigSchema = object({
  os: nullish(string()),
  architecture: nullish(string()),
  variant: nullish(string()),
});

export type AuthEntry = InferOutput<typeof authEntrySchema>;
export type DockerConfig = InferOutput<typeof dockerConfigSchema>;
export type WireManifest = InferOutput<typeof manifestSchema>;
export type IndexEntry = NonNullable<WireManifest["manifests"]>[number];

export function readDockerConfig(json: unknown): DockerConfig {
  return read(dockerConfigSchema, json);
}

export function readHelperAnswer(json: unknown): InferOutput<typeof helperAnswerSchema> {
  return read(helperAnswerSchema, json);
}

export function readToken(json: unknown): InferOutput<typeof tokenSchema> {
  return read(tokenSchema, json);
}

export function readTagList(json: unknown): readonly string[] {
  return read(tagListSchema, json).tags ?? [];
}

export function readManifest(json: unknown): WireManifest {
  return read(manifestSchema, json);
}

export function readImageConfig(json: unknown): InferOutput<typeof imageConfigSchema> {
  return read(imageConfigSchema, json);
}

/** Names the field and the types, never the value. */
function read<T>(schema: BaseSchema<unknown, T, BaseIssue<unknown>>, json: unknown): T {
  const result = safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Error(`${getDotPath(issue) ?? "answer"}: not ${issue.expected ?? "right"}`);
}
