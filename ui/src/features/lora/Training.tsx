/** What the file says of itself and what the library knows of its past. All of it foreign text, shown as text. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import type { LoraDetail } from "@/api/client";
import { Copy } from "@/components/ui";
import { countOf, formatCount, formatMoment, formatStrength } from "@/lib/format";
import css from "./lora.module.css";
import { SidecarFacts, sourceOf } from "./SidecarFacts";

const TAGS_SHOWN = 24;
const LONG_VALUE = 240;
const EVENTS: Record<LoraDetail["history"][number]["kind"], string> = {
  added: "Added to the library",
  revised: "Its content changed",
  moved: "Moved here",
  missing: "Its file went missing",
  returned: "Its file came back",
};

export function Training({ entry }: { entry: LoraDetail }) {
  return (
    <div className={css.columns}>
      <Words words={entry.summary.trigger_words} sidecar={entry.sidecar} />
      <TrainingFacts summary={entry.summary} />
      {entry.sidecar !== null && (
        <Section title="Beside the file" aside={sourceOf(entry.sidecar)}>
          <SidecarFacts sidecar={entry.sidecar} />
        </Section>
      )}
      <Tags tags={entry.summary.tags} />
      <Past entry={entry} />
      <RawMetadata metadata={entry.metadata} />
    </div>
  );
}

function Section({
  title,
  aside,
  wide,
  children,
}: {
  title: string;
  aside?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <section className={css.section} data-wide={wide || undefined}>
      <h2>
        {title}
        {aside && <span className="caption">{aside}</span>}
      </h2>
      {children}
    </section>
  );
}

function Words({ words, sidecar }: { words: readonly string[]; sidecar: LoraDetail["sidecar"] }) {
  const more = (sidecar?.trigger_words ?? []).filter((word) => !words.includes(word));
  return (
    <Section
      title="Trigger words"
      aside={
        words.length > 1 && (
          <Copy text={words.join(", ")} label="Copy all trigger words">
            all
          </Copy>
        )
      }
    >
      {words.length > 0 ? <WordList words={words} /> : <p className={css.nothing}>The file names none.</p>}
      {more.length > 0 && (
        <>
          <p className={css.wordsSource}>{sidecar?.said_by.trigger_words} says</p>
          <WordList words={more} />
        </>
      )}
    </Section>
  );
}

function WordList({ words }: { words: readonly string[] }) {
  return (
    <ul className={css.words}>
      {words.map((word) => (
        <li key={word}>
          <Copy text={word} label="Copy trigger word" />
        </li>
      ))}
    </ul>
  );
}

function TrainingFacts({ summary }: { summary: LoraDetail["summary"] }) {
  const declared = [
    summary.declared_rank !== null && `rank ${summary.declared_rank}`,
    summary.declared_alpha !== null && `alpha ${formatStrength(summary.declared_alpha)}`,
  ].filter(Boolean);
  const length = [
    summary.steps !== null && countOf(summary.steps, "step", "steps"),
    summary.epochs !== null && countOf(summary.epochs, "epoch", "epochs"),
  ].filter(Boolean);
  const facts: [string, string | null][] = [
    ["Title", summary.title],
    ["Author", summary.author],
    ["Trained on", summary.base_checkpoint ?? summary.base_model],
    ["Trainer", summary.trainer],
    ["Length", length.join(", ") || null],
    ["Resolution", summary.resolution?.join(" × ") ?? null],
    ["Declared", declared.join(", ") || null],
    ["Date", summary.date && formatMoment(summary.date)],
    ["Licence", summary.license],
    ["Description", summary.description],
  ];
  const known = facts.filter((fact): fact is [string, string] => fact[1] !== null && fact[1] !== "");
  return (
    <Section title="Training">
      {known.length === 0 ? (
        <p className={css.nothing}>The file says nothing of its training.</p>
      ) : (
        <dl className={css.pairs}>
          {known.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </Section>
  );
}

function Tags({ tags }: { tags: LoraDetail["summary"]["tags"] }) {
  const [open, setOpen] = useState(false);
  if (tags.length === 0) return null;
  const most = Math.max(...tags.map((tag) => Number(tag[1])));
  const shown = open ? tags : tags.slice(0, TAGS_SHOWN);
  return (
    <Section title="Tags" aside={`${formatCount(tags.length)}, by how many captions hold them`}>
      <ol className={css.tags}>
        {shown.map(([tag, count]) => (
          <li key={tag}>
            <i style={{ width: `${(Number(count) / most) * 100}%` }} />
            <span>{tag}</span>
            <b>{formatCount(Number(count))}</b>
          </li>
        ))}
      </ol>
      {tags.length > TAGS_SHOWN && (
        <button type="button" className={css.more} aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "fewer" : `${formatCount(tags.length - TAGS_SHOWN)} more`}
        </button>
      )}
    </Section>
  );
}

function Past({ entry }: { entry: LoraDetail }) {
  return (
    <Section title="In the library">
      {entry.duplicates.length > 0 && (
        <p className={css.copies}>
          Same content as{" "}
          {entry.duplicates.map((id) => (
            <Link key={id} to="/lora/$stableId" params={{ stableId: id }} className="mono">
              {id}
            </Link>
          ))}
        </p>
      )}
      {entry.history.length === 0 ? (
        <p className={css.nothing}>Nothing has happened to it yet.</p>
      ) : (
        <ol className={css.history}>
          {entry.history.map((event, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two events may be alike in everything
            <li key={place}>
              <time>{event.at === null ? "" : formatMoment(event.at)}</time>
              <span>
                {EVENTS[event.kind]}
                {event.kind === "moved" && event.before !== null && (
                  <span className={css.factDetail}>from {event.before}</span>
                )}
                {event.note && <span className={css.factDetail}>{event.note}</span>}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}

function RawMetadata({ metadata }: { metadata: LoraDetail["metadata"] }) {
  const entries = Object.entries(metadata);
  if (entries.length === 0) return null;
  return (
    <details className={css.raw}>
      <summary>
        All metadata of the file <span className="caption">{countOf(entries.length, "field", "fields")}</span>
      </summary>
      <dl className={css.pairs}>
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt className="mono">{name}</dt>
            <dd className="mono">
              {value.length > LONG_VALUE ? `${value.slice(0, LONG_VALUE)}…` : value}
              {value.length > LONG_VALUE && (
                <Copy text={value} label={`Copy ${name}`}>
                  <span className="caption">all {formatCount(value.length)} characters</span>
                </Copy>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
