/** The saved profiles, each with its picture and what can be done with it. */
import { useEffect, useRef, useState } from "react";
import type { LayoutGroup } from "@/api/client";
import type { Profile } from "@/api/profiles";
import { Sparkline } from "@/components/blocks/Sparkline";
import { Button, Mark } from "@/components/ui";
import { formatMoment } from "@/lib/format";
import { NEUTRAL } from "./profileModel";
import css from "./profiles.module.css";

interface ProfileListProps {
  profiles: readonly Profile[];
  groups: readonly LayoutGroup[];
  colourOf: (groupKey: string) => string;
  openId: number | null;
  isBusy: boolean;
  onOpen: (profile: Profile) => void;
  onDuplicate: (profile: Profile) => void;
  onDelete: (profile: Profile) => void;
}

export function ProfileList(props: ProfileListProps) {
  const { profiles, groups, colourOf, openId, isBusy, onOpen, onDuplicate, onDelete } = props;
  const [asked, setAsked] = useState<number | null>(null);
  if (profiles.length === 0)
    return <p className="faint">None yet. A profile says how strongly each block of this LoRA is used.</p>;
  return (
    <ul className={css.list}>
      {profiles.map((profile) => (
        <li key={profile.id} data-open={profile.id === openId || undefined}>
          <button
            type="button"
            className={css.name}
            aria-pressed={profile.id === openId}
            disabled={!profile.fits}
            onClick={() => onOpen(profile)}
          >
            {profile.profile_name}
          </button>
          <span className={css.picture}>
            {profile.fits ? (
              <Sparkline
                groups={groups}
                weights={relative(profile.block_weights)}
                colourOf={colourOf}
                width={150}
                height={18}
              />
            ) : (
              <Mark tone="warn">does not fit</Mark>
            )}
          </span>
          <span className={css.summary}>
            {profile.misfit === null ? summary(profile.block_weights) : `${profile.misfit}.`}
          </span>
          <time dateTime={profile.updated_at}>{formatMoment(profile.updated_at)}</time>
          {asked === profile.id ? (
            <Confirm
              name={profile.profile_name}
              onKeep={() => setAsked(null)}
              onDelete={() => {
                setAsked(null);
                onDelete(profile);
              }}
            />
          ) : (
            <span className={css.rowTools}>
              <Button
                kind="quiet"
                disabled={isBusy || !profile.fits}
                onClick={() => onDuplicate(profile)}
                aria-label={`Duplicate ${profile.profile_name}`}
              >
                Duplicate
              </Button>
              <Button
                kind="quiet"
                disabled={isBusy}
                onClick={() => setAsked(profile.id)}
                aria-label={`Delete ${profile.profile_name}`}
              >
                Delete
              </Button>
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** Deleting cannot be undone, hence a second press; the first place is not the one that deletes. */
function Confirm({ name, onKeep, onDelete }: { name: string; onKeep: () => void; onDelete: () => void }) {
  const frame = useRef<HTMLSpanElement>(null);
  useEffect(() => frame.current?.querySelector("button")?.focus(), []);
  return (
    <span
      ref={frame}
      className={css.rowTools}
      role="group"
      aria-label={`Delete ${name} for good?`}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault(); // elsewhere on the page it leads back to the library
        onKeep();
      }}
    >
      <span aria-hidden="true">For good?</span>
      <Button kind="quiet" onClick={onKeep}>
        Keep
      </Button>
      <Button kind="plain" className={css.small} onClick={onDelete}>
        Delete {name.length > 16 ? "it" : name}
      </Button>
    </span>
  );
}

/** For the small picture, from 0 to 1: as they are, or in proportion where one is above; what is below 0 is told in words. */
function relative(weights: readonly number[]): number[] {
  const highest = Math.max(NEUTRAL, ...weights);
  return weights.map((weight) => Math.max(weight, 0) / highest);
}

function summary(weights: readonly number[]): string {
  const off = weights.filter((weight) => weight === 0).length;
  const changed = weights.filter((weight) => weight !== NEUTRAL).length;
  if (changed === 0) return "neutral";
  const below = weights.filter((weight) => weight < 0).length;
  if (off === changed) return `${off} of ${weights.length} off`;
  const parts = [off > 0 && `${off} of them off`, below > 0 && `${below} below 0`].filter(Boolean);
  return [`${changed} of ${weights.length} changed`, ...parts].join(", ");
}
