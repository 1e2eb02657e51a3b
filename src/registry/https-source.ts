import { DewyError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { openRanged } from "../http/range.ts";
import type { ArtifactSource } from "../release/source.ts";

/** Opens `https://` URLs as they are, without credentials. */
export function httpsSource(http: HttpClient): ArtifactSource {
  return {
    async open(file, resume, c) {
      const url = URL.parse(file.url);
      if (url?.protocol !== "https:" || url.username !== "" || url.password !== "") {
        throw new DewyError("artifact-missing", `the address of ${file.name} is no plain https:// URL`);
      }
      const doing = `fetch ${file.name}`;
      try {
        return await openRanged(http, { url: url.href, doing }, resume, c);
      } catch (error) {
        throw explained(error, file.name, url.host);
      }
    },
  };
}

function explained(error: unknown, name: string, host: string): unknown {
  if (!(error instanceof DewyError)) return error;
  if (error.code === "not-found") {
    return new DewyError("artifact-missing", `${host} has no ${name} (any more)`, { cause: error });
  }
  if (error.code !== "unauthorized") return error;
  const { code, message, retryAfterMs } = error;
  const hint = `dewy sends no credentials to ${host}: let it serve the file to this host without`;
  return new DewyError(code, message, { hint, cause: error, retryAfterMs });
}
