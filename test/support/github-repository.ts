export interface PublishedRelease {
  readonly tag: string;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly createdAt?: Date;
  readonly prerelease?: boolean;
  readonly draft?: boolean;
  /** Of files that are still being uploaded: `starter`. */
  readonly states?: Readonly<Record<string, string>>;
  /** What GitHub says the digests are, where that is not the truth. */
  readonly digests?: Readonly<Record<string, string | null>>;
}

export interface StoredAsset {
  readonly id: number;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly state: string;
  readonly digest: string | null;
  readonly updatedAt: Date;
}

export interface StoredRelease {
  readonly id: number;
  readonly tag: string;
  readonly createdAt: Date;
  prerelease: boolean;
  draft: boolean;
  assets: StoredAsset[];
}

/** The releases behind GithubServer. Ids grow, as GitHub's do. */
export class GithubRepository {
  readonly #releases = new Map<string, StoredRelease>();
  #nextId = 1000;

  constructor(
    private readonly digests: boolean,
    private readonly now: () => Date,
  ) {}

  /** Newest first by creation. */
  releases(): StoredRelease[] {
    return [...this.#releases.values()].sort(
      (a, b) => b.createdAt.getTime() - a.createdAt.getTime() || b.id - a.id,
    );
  }

  find(tag: string): StoredRelease | null {
    return this.#releases.get(tag) ?? null;
  }

  asset(id: number): StoredAsset | null {
    for (const release of this.#releases.values()) {
      const asset = release.assets.find((candidate) => candidate.id === id);
      if (asset !== undefined) return asset;
    }
    return null;
  }

  publish(published: PublishedRelease): StoredRelease {
    const release = this.#releases.get(published.tag) ?? {
      id: this.#nextId++,
      tag: published.tag,
      createdAt: published.createdAt ?? this.now(),
      prerelease: false,
      draft: false,
      assets: [],
    };
    release.prerelease = published.prerelease ?? release.prerelease;
    release.draft = published.draft ?? release.draft;
    for (const [name, content] of Object.entries(published.files ?? {})) {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      const truth = this.digests ? `sha256:${Bun.SHA256.hash(bytes, "hex")}` : null;
      const digest = published.digests?.[name] === undefined ? truth : published.digests[name];
      const state = published.states?.[name] ?? "uploaded";
      release.assets = release.assets.filter((asset) => asset.name !== name);
      release.assets.push({ id: this.#nextId++, name, bytes, state, digest, updatedAt: this.now() });
    }
    this.#releases.set(published.tag, release);
    return release;
  }

  remove(tag: string): void {
    this.#releases.delete(tag);
  }

  removeFile(tag: string, name: string): void {
    const release = this.#releases.get(tag);
    if (release !== undefined) release.assets = release.assets.filter((asset) => asset.name !== name);
  }
}
