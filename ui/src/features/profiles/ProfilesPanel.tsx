/** The panel of an entry's profiles: those saved, and the one being edited. */
import { useState } from "react";
import type { BlocksAnswer, Layout } from "@/api/client";
import type { Profile, ProfilesAnswer } from "@/api/profiles";
import { useRegistry } from "@/api/registry";
import { Bone, Button, Mark, Note } from "@/components/ui";
import { type Draft, draftOf, hasOtherWeights, isChanged, nameForCopy, newDraft } from "./draft";
import { LeaveGuard, LosesChanges } from "./LeaveGuard";
import { ProfileEditor } from "./ProfileEditor";
import { ProfileList } from "./ProfileList";
import { freeName, measuredShape } from "./profileModel";
import css from "./profiles.module.css";
import { type Change, useChange, useProfiles } from "./useProfiles";

interface ProfilesPanelProps {
  stableId: string;
  blocks: BlocksAnswer;
}

export function ProfilesPanel({ stableId, blocks }: ProfilesPanelProps) {
  const query = useProfiles(stableId);
  const registry = useRegistry();
  const answer = query.data;
  const layout = registry.layout(answer?.block_layout ?? null);
  if (answer !== undefined && layout !== undefined) {
    // Another entry or another layout: nothing of the draft before can stay.
    const key = `${stableId} ${layout.id}`;
    return (
      <Profiles key={key} answer={answer} layout={layout} blocks={blocks} colourOf={registry.colourOf} />
    );
  }
  return (
    <section className={css.panel} aria-labelledby="profiles" aria-busy={query.isPending}>
      <div className={css.head}>
        <h2 id="profiles">Profiles</h2>
      </div>
      {query.error ? (
        <Note
          tone="bad"
          title="The profiles could not be loaded"
          actions={<Button onClick={() => void query.refetch()}>Try again</Button>}
        >
          <p>{query.error.message}</p>
        </Note>
      ) : answer?.block_layout === null ? (
        <p className="faint">
          No known layout fits this file, so there are no blocks to give multipliers to.
        </p>
      ) : (
        <Bone width={260} />
      )}
    </section>
  );
}

interface ProfilesProps {
  answer: ProfilesAnswer;
  layout: Layout;
  blocks: BlocksAnswer;
  colourOf: (groupKey: string) => string;
}

function Profiles({ answer, layout, blocks, colourOf }: ProfilesProps) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const [next, setNext] = useState<{ draft: Draft | null } | null>(null);
  const change = useChange(answer.stable_id);
  const names = answer.profiles.map((profile) => profile.profile_name);
  const limits = { lowest: answer.lowest, highest: answer.highest };
  const changed = isChanged(draft);
  const shape = measuredShape(
    layout.block_count,
    blocks.block_layout === layout.id ? blocks.blocks : [],
    blocks.fallback,
  );

  /** Puts another draft in place of the present one, after asking where that would lose changes. */
  const open = (to: Draft | null) => {
    change.reset();
    if (changed) setNext({ draft: to });
    else setDraft(to);
  };
  const run = (what: Change, opensResult: boolean) =>
    change.mutate(what, {
      onSuccess: ({ profile }) => {
        if (opensResult && profile !== null) setDraft(draftOf(profile));
        if (what.kind === "remove" && what.id === draft?.id) setDraft(null);
      },
    });
  const save = (edited: Draft) => {
    const name = edited.name.trim();
    const weights = [...edited.weights];
    if (edited.id === null) return run({ kind: "create", name, weights }, true);
    const parts = {
      ...(name !== edited.start.name && { name }),
      ...(hasOtherWeights(edited) && { weights }),
    };
    run({ kind: "change", id: edited.id, ...parts }, true);
  };
  const duplicate = ({ profile_name, block_weights }: Profile) => {
    const name = freeName(`${profile_name} copy`, names);
    run({ kind: "create", name, weights: block_weights }, !changed);
  };

  return (
    <section className={css.panel} aria-labelledby="profiles">
      <div className={css.head}>
        <h2 id="profiles">Profiles</h2>
        <Mark>{answer.profiles.length} saved</Mark>
        <span className={css.aside}>one multiplier a block; 1.0 leaves a block as it is</span>
        <div className={css.tools}>
          <Button kind="quiet" onClick={() => open(newDraft(layout.block_count, names))}>
            New profile
          </Button>
        </div>
      </div>
      <ProfileList
        profiles={answer.profiles}
        groups={layout.groups}
        colourOf={colourOf}
        openId={draft?.id ?? null}
        isBusy={change.isPending}
        onOpen={(profile) => profile.id !== draft?.id && open(draftOf(profile))}
        onDuplicate={duplicate}
        onDelete={(profile) => run({ kind: "remove", id: profile.id }, false)}
      />
      {change.error && (
        <Note tone="bad" title="That was not saved">
          <p>{change.error.message}</p>
        </Note>
      )}
      {next !== null && (
        <LosesChanges
          onStay={() => setNext(null)}
          onLeave={() => {
            setDraft(next.draft);
            setNext(null);
          }}
        />
      )}
      {draft !== null && (
        <ProfileEditor
          draft={draft}
          layout={layout}
          shape={shape}
          isUnmeasured={blocks.fallback}
          limits={limits}
          colourOf={colourOf}
          isChanged={changed}
          isBusy={change.isPending}
          onDraft={setDraft}
          onSave={() => save(draft)}
          onSaveAs={() =>
            run({ kind: "create", name: nameForCopy(draft, names), weights: [...draft.weights] }, true)
          }
          onClose={() => open(null)}
        />
      )}
      <LeaveGuard isActive={changed} />
    </section>
  );
}
