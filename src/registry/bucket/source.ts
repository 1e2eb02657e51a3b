import { DewyError } from "../../errors.ts";
import type { ArtifactBody, ArtifactSource } from "../../release/source.ts";
import { keyOfUrl } from "../../store/key.ts";
import type { ObjectStore } from "../../store/store.ts";

/** Opens `<url of the store>/<key>`; what lies elsewhere is `bad-answer`. */
export function bucketSource(store: ObjectStore): ArtifactSource {
  return {
    async open(file, resume, c): Promise<ArtifactBody> {
      const key = keyOfUrl(store.url, file.url);
      if (key === null) {
        throw new DewyError("bad-answer", `${file.name} does not lie in ${store.url}`, { retryable: false });
      }
      const found = await store.get(key, resume, c);
      if (found === null) throw new DewyError("artifact-missing", `${key} is gone from ${store.url}`);
      const { chunks, offset, sizeBytes, version } = found;
      return { chunks, offset, totalBytes: sizeBytes, validator: version };
    },
  };
}
