/** One LoRA: what it is, what its blocks weigh, what its training says. */
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { ApiError, type BlocksAnswer, type LoraDetail } from "@/api/client";
import { EntryMarks } from "@/components/blocks/EntryMarks";
import { Bone, Button, Copy, Empty, Note, Page } from "@/components/ui";
import { displayName, formatCount, withoutPath } from "@/lib/format";
import { useShortcut, useTitle } from "@/lib/hooks";
import { rememberPosition } from "@/lib/listPosition";
import { BlocksPanel } from "./BlocksPanel";
import { Facts } from "./Facts";
import css from "./lora.module.css";
import { Preview } from "./Preview";
import { Training } from "./Training";
import { type Neighbours, useEntry, useNeighbours } from "./useEntry";

const route = getRouteApi("/lora/$stableId");

interface LoraPageProps {
  /** What stands between the blocks and the training, from rooms that this one does not know. */
  belowBlocks?: (entry: LoraDetail, blocks: BlocksAnswer) => ReactNode;
}

export function LoraPage({ belowBlocks }: LoraPageProps) {
  const { stableId } = route.useParams();
  const neighbours = useNeighbours(route.useSearch());
  const query = useEntry(stableId);
  const name = query.data ? displayName(query.data.entry.filename) : stableId;
  useTitle(name);
  return (
    <Page>
      <Steps neighbours={neighbours} />
      {query.data ? (
        <Entry entry={query.data.entry} blocks={query.data.blocks} isStale={query.isPlaceholderData}>
          {belowBlocks?.(query.data.entry, query.data.blocks)}
        </Entry>
      ) : query.error ? (
        <>
          <h1 className="visually-hidden">{stableId}</h1>
          <Failed error={query.error} onRetry={() => void query.refetch()} />
        </>
      ) : (
        <Loading />
      )}
    </Page>
  );
}

/** Back to the list, and to the entries before and after in it. */
function Steps({ neighbours }: { neighbours: Neighbours | null }) {
  const navigate = route.useNavigate();
  const listKey = JSON.stringify(neighbours?.search ?? {});
  const at = neighbours?.at;
  useEffect(() => {
    if (at !== undefined) rememberPosition(listKey, { active: at });
  }, [listKey, at]);

  const go = (to: { stableId: string; at: number } | null | undefined) => {
    if (!to) return;
    void navigate({
      to: "/lora/$stableId",
      params: { stableId: to.stableId },
      search: { ...neighbours?.search, at: to.at },
      replace: true,
    });
  };
  const back = () => void navigate({ to: "/", search: neighbours?.search ?? {} });
  useShortcut("ArrowRight", () => go(neighbours?.next));
  useShortcut("ArrowLeft", () => go(neighbours?.previous));
  useShortcut("j", () => go(neighbours?.next));
  useShortcut("k", () => go(neighbours?.previous));
  useShortcut("Escape", back);

  return (
    <nav className={css.steps} aria-label="Position in the library">
      <Link to="/" search={neighbours?.search ?? {}}>
        ← Library
      </Link>
      {neighbours !== null && neighbours.total > 0 && (
        <div className={css.stepButtons}>
          <span className="faint">
            {formatCount(neighbours.at + 1)} of {formatCount(neighbours.total)}
          </span>
          <Button
            kind="quiet"
            disabled={!neighbours.previous}
            onClick={() => go(neighbours.previous)}
            title="Left arrow or k"
          >
            ← Previous
          </Button>
          <Button
            kind="quiet"
            disabled={!neighbours.next}
            onClick={() => go(neighbours.next)}
            title="Right arrow or j"
          >
            Next →
          </Button>
        </div>
      )}
    </nav>
  );
}

interface EntryProps {
  entry: LoraDetail;
  blocks: BlocksAnswer;
  isStale: boolean;
  children: ReactNode;
}

function Entry({ entry, blocks, isStale, children }: EntryProps) {
  const warnings = [...new Set([...entry.warnings, ...blocks.validation_warnings])];
  return (
    <article className={css.entry} aria-busy={isStale}>
      <div className={css.top}>
        <div className={css.topText}>
          <header>
            <h1 className={css.name}>{displayName(entry.filename)}</h1>
            <p className={css.identity}>
              <Copy text={entry.stable_id} label="Copy id">
                <span className={`mono ${css.id}`}>{entry.stable_id}</span>
              </Copy>
              <EntryMarks entry={entry} />
              <Copy text={entry.file_path} label="Copy path">
                <span className={`mono ${css.path}`}>{entry.file_path}</span>
              </Copy>
              {entry.has_block_weights && (
                <Link to="/compare" search={{ ids: entry.stable_id }}>
                  Compare with…
                </Link>
              )}
            </p>
            {entry.pair !== null && (
              <p className={css.otherHalf}>
                One of two files; the {entry.pair.noise} half is{" "}
                <Link to="/lora/$stableId" params={{ stableId: entry.pair.stable_id }} className="mono">
                  {entry.pair.stable_id}
                </Link>
              </p>
            )}
          </header>
          <Facts entry={entry} />
        </div>
        {entry.preview !== null && <Preview key={entry.preview.url} preview={entry.preview} of={entry} />}
      </div>
      {entry.error !== null && (
        <Note tone="bad" title="This file could not be read">
          <p>{withoutPath(entry.error, entry.file_path)}</p>
        </Note>
      )}
      {entry.state === "missing" && (
        <Note tone="warn" title="The file is gone from its place">
          <p>What is shown was measured when it was last seen. If it turns up elsewhere it keeps its id.</p>
        </Note>
      )}
      {warnings.length > 0 && (
        <Note
          tone="warn"
          title={warnings.length === 1 ? "One thing to know" : `${warnings.length} things to know`}
        >
          <ul className={css.warnings}>
            {warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </Note>
      )}
      <BlocksPanel entry={entry} answer={blocks} />
      {children}
      <Training entry={entry} />
    </article>
  );
}

function Failed({ error, onRetry }: { error: Error; onRetry: () => void }) {
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title="No entry has this id">
        <p>{error.message}</p>
        <p>
          <Link to="/">Search the library</Link>
        </p>
      </Empty>
    );
  }
  return (
    <Note
      tone="bad"
      title="This entry could not be loaded"
      actions={<Button onClick={onRetry}>Try again</Button>}
    >
      <p>{error.message}</p>
    </Note>
  );
}

/** Takes the room of an entry while it is on its way. */
function Loading() {
  return (
    <div className={css.entry} aria-busy="true">
      <header>
        <h1 className={css.name}>
          <span className="visually-hidden">Loading</span>
          <Bone width={320} />
        </h1>
        <p className={css.identity}>
          <Bone width={90} /> <Bone width={420} />
        </p>
      </header>
      <div className={css.factsRoom} />
      <div className={css.chartRoom} />
    </div>
  );
}
