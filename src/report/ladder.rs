//! Calls as ladders: who sent what to whom, when, in text.

use std::io::{self, Write};
use std::net::IpAddr;

use crate::attribution::{Call, Judged};
use crate::net::Timestamp;

/// Columns of the time in front of each line.
const TIME: usize = 13;
/// Least and greatest distance of two lanes.
const LANE: (usize, usize) = (22, 40);

/// One line of a ladder.
struct Line {
    time: Timestamp,
    from: IpAddr,
    to: IpAddr,
    text: String,
}

/// Writes the ladders of calls for a page of that width.
///
/// # Errors
/// What the output says.
pub fn write_ladders(
    calls: &[Call<'_>],
    judged: &Judged<'_>,
    codes: &dyn Fn(u64) -> Vec<&'static str>,
    width: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (index, call) in calls.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write(call, judged, codes, usize::from(width), out)?;
    }
    Ok(())
}

fn write(
    call: &Call<'_>,
    judged: &Judged<'_>,
    codes: &dyn Fn(u64) -> Vec<&'static str>,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let id = call.call_id.unwrap_or("media without signalling");
    let (from, to) = (call.from.unwrap_or("?"), call.to.unwrap_or("?"));
    writeln!(out, "Call {id}")?;
    if call.call_id.is_some() {
        let result = call.result.unwrap_or("no final answer seen");
        writeln!(out, "  {from} to {to}: {result}")?;
    }
    writeln!(out, "  from {}", call.start)?;
    let lines = lines(call);
    let mut hosts: Vec<IpAddr> = Vec::new();
    for line in &lines {
        for host in [line.from, line.to] {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    let label = |line: &Line| line.text.chars().count().saturating_add(6);
    let lane = lines
        .iter()
        .map(label)
        .max()
        .unwrap_or(0)
        .clamp(LANE.0, LANE.1);
    let needed = lane
        .saturating_mul(hosts.len().saturating_sub(1))
        .saturating_add(TIME);
    let name = |host: IpAddr| match judged.name(host) {
        Some(name) => format!("{host} ({}{})", name.text, name.source.mark()),
        None => host.to_string(),
    };
    let is_drawn = needed.saturating_add(4) <= width && hosts.len() > 1;
    if is_drawn {
        for (index, host) in hosts.iter().enumerate() {
            writeln!(out, "  {}: {}", letter(index), name(*host))?;
        }
        let letters: Vec<Vec<char>> = (0..hosts.len())
            .map(|index| letter(index).chars().collect())
            .collect();
        let mut heading = Canvas::new(lane, hosts.len(), ' ');
        for (index, letters) in letters.iter().enumerate() {
            for (offset, letter) in letters.iter().enumerate() {
                heading.set(index.saturating_mul(lane).saturating_add(offset), *letter);
            }
        }
        writeln!(out, "{:TIME$}{}", "", heading.text())?;
    }
    for line in &lines {
        let after = line.time.since(call.start).max(0);
        let (seconds, millis) = (after / 1_000_000_000, after / 1_000_000 % 1000);
        let time = format!("  +{seconds}.{millis:03} s");
        let place = |host| hosts.iter().position(|known| *known == host).unwrap_or(0);
        if is_drawn {
            let mut canvas = Canvas::new(lane, hosts.len(), '|');
            canvas.arrow(place(line.from), place(line.to), &line.text);
            writeln!(out, "{time:TIME$}{}", canvas.text())?;
        } else {
            writeln!(
                out,
                "{time:TIME$}{} to {}: {}",
                name(line.from),
                name(line.to),
                line.text
            )?;
        }
    }
    for stream in &call.streams {
        let mos = stream
            .mos
            .map_or_else(String::new, |mos| format!(", MOS {mos:.2}"));
        let jitter = stream.jitter.map_or_else(String::new, |jitter| {
            let us = jitter.max_ns / 1000;
            format!(", jitter up to {}.{:03} ms", us / 1000, us % 1000)
        });
        writeln!(
            out,
            "  flow {}, {} to {}: {}, {} packets, {} lost{jitter}{mos}, {}",
            stream.flow,
            stream.from,
            stream.to,
            codec(stream.codec, stream.payload_type),
            stream.stream.packets,
            stream.stream.lost,
            stream.encryption
        )?;
    }
    let mut found: Vec<&str> = call.flows().flat_map(codes).collect();
    found.sort_unstable();
    found.dedup();
    if !found.is_empty() {
        writeln!(out, "  findings: {}", found.join(" "))?;
    }
    Ok(())
}

/// Messages and the beginnings of media, by time.
fn lines(call: &Call<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = call
        .ladder
        .iter()
        .map(|rung| Line {
            time: rung.seen.time,
            from: rung.from.address,
            to: rung.to.address,
            text: rung.text.to_owned(),
        })
        .collect();
    lines.extend(call.streams.iter().map(|stream| Line {
        time: stream.stream.first_seen,
        from: stream.from.address,
        to: stream.to.address,
        text: format!("RTP {}", codec(stream.codec, stream.payload_type)),
    }));
    // Stable: messages of one time stay in the order of their packets.
    lines.sort_by_key(|line| line.time);
    lines
}

fn codec(name: Option<&str>, payload_type: u8) -> String {
    name.map_or_else(|| format!("type {payload_type}"), str::to_owned)
}

/// A, B ... Z, then with a number.
fn letter(index: usize) -> String {
    let letter = u8::try_from(index % 26).unwrap_or(0).saturating_add(b'A');
    let letter = char::from(letter);
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// One line of lanes.
struct Canvas {
    cells: Vec<char>,
    lane: usize,
}

impl Canvas {
    fn new(lane: usize, lanes: usize, mark: char) -> Self {
        let width = lane
            .saturating_mul(lanes.saturating_sub(1))
            .saturating_add(2);
        let mut canvas = Self {
            cells: vec![' '; width],
            lane,
        };
        for index in 0..lanes {
            canvas.set(index.saturating_mul(lane), mark);
        }
        canvas
    }

    fn set(&mut self, place: usize, mark: char) {
        if let Some(cell) = self.cells.get_mut(place) {
            *cell = mark;
        }
    }

    /// An arrow from lane to lane with its label in the middle, cut where it does not fit.
    fn arrow(&mut self, from: usize, to: usize, label: &str) {
        let (left, right) = (
            from.min(to).saturating_mul(self.lane),
            from.max(to).saturating_mul(self.lane),
        );
        if left == right {
            // A host that speaks with itself: the label alone.
            for (offset, letter) in label.chars().enumerate() {
                self.set(left.saturating_add(2).saturating_add(offset), letter);
            }
            return;
        }
        let space = right.saturating_sub(left).saturating_sub(1);
        for place in left.saturating_add(1)..right {
            self.set(place, '-');
        }
        let (end, head) = if from < to {
            (right.saturating_sub(1), '>')
        } else {
            (left.saturating_add(1), '<')
        };
        let label: Vec<char> = label.chars().take(space.saturating_sub(4)).collect();
        let before = space.saturating_sub(label.len().saturating_add(2)) / 2;
        let start = left.saturating_add(1).saturating_add(before);
        self.set(start, ' ');
        for (offset, letter) in label.iter().enumerate() {
            self.set(start.saturating_add(1).saturating_add(offset), *letter);
        }
        self.set(start.saturating_add(1).saturating_add(label.len()), ' ');
        self.set(end, head);
    }

    fn text(&self) -> String {
        let text: String = self.cells.iter().collect();
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(from: usize, to: usize, label: &str) -> String {
        let mut canvas = Canvas::new(16, 3, '|');
        canvas.arrow(from, to, label);
        canvas.text()
    }

    #[test]
    fn arrows_go_from_lane_to_lane_with_their_label() {
        assert_eq!(drawn(0, 1, "INVITE"), "|--- INVITE --->|               |");
        assert_eq!(drawn(1, 0, "200 OK"), "|<-- 200 OK ----|               |");
        assert_eq!(drawn(0, 2, "BYE"), "|------------- BYE ------------>|");
        assert_eq!(
            drawn(0, 1, "a label that is too long"),
            "|- a label tha >|               |"
        );
    }

    #[test]
    fn lanes_have_letters() {
        assert_eq!(
            ["A", "Z", "A1"],
            [letter(0), letter(25), letter(26)]
                .map(|l| l)
                .each_ref()
                .map(String::as_str)
        );
    }
}
