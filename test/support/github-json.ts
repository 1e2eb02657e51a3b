import type { StoredAsset, StoredRelease } from "./github-repository.ts";

/** A release as GitHub writes it. `uploads` is the repository's URL on the upload host. */
export function releaseJson(release: StoredRelease, uploads: string): unknown {
  const createdAt = isoSeconds(release.createdAt);
  return {
    id: release.id,
    tag_name: release.tag,
    name: release.tag,
    draft: release.draft,
    prerelease: release.prerelease,
    created_at: createdAt,
    published_at: release.draft ? null : createdAt,
    upload_url: `${uploads}/releases/${release.id}/assets{?name,label}`,
    assets: release.assets.map(assetJson),
    body: "Notes",
  };
}

export function assetJson(asset: StoredAsset): unknown {
  const { id, name, state, digest } = asset;
  return { id, name, state, digest, size: asset.bytes.length, updated_at: isoSeconds(asset.updatedAt) };
}

function isoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
