"""A post id as people write it: what is taken for which post, and what is refused. All ids and names are made up."""

from __future__ import annotations

import pytest

from listener.errors import UsageError
from listener.maintenance.post_ids import ids_meant, looks_rounded, post_id, post_ids

ID = "1906123456789012345"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (ID, ID),
        (f"  {ID}\n", ID),
        (f"'{ID}", ID),
        (f'"{ID}",', ID),
        (f"\ufeff{ID}\u200b", ID),
        (f"x:{ID}", f"x:{ID}"),
        (f"X: {ID}", f"x:{ID}"),
        (f"recording:{ID}", f"recording:{ID}"),
        ("recording:p17", "recording:p17"),
        ("recording:at://did:plc:abc/app.bsky.feed.post/3kq", "recording:at://did:plc:abc/app.bsky.feed.post/3kq"),
        (f"https://x.com/kari_vakt/status/{ID}", f"x:{ID}"),
        (f"http://www.twitter.com/kari_vakt/statuses/{ID}?s=20&t=abc", f"x:{ID}"),
        (f"mobile.twitter.com/Kari_Vakt/status/{ID}/photo/1", f"x:{ID}"),
        (f"HTTPS://X.COM/kari_vakt/STATUS/{ID}#m", f"x:{ID}"),
        (f"https://x.com/i/web/status/{ID}", f"x:{ID}"),
        (f"https://x.com/i/status/{ID}/", f"x:{ID}"),
        (f"https://nitter.example:8080/kari_vakt/status/{ID}#m", f"x:{ID}"),
        (f"https://fixupx.com/kari_vakt/status/{ID}/en", f"x:{ID}"),
        (f"//vxtwitter.com/kari_vakt/status/{ID}.", f"x:{ID}"),
        (f"<https://x.com/kari_vakt/status/{ID}>", f"x:{ID}"),
        (f"https://x.com/%40kari_vakt/status%2F{ID}", f"x:{ID}"),
        (f"recording:https://x.com/kari_vakt/status/{ID}", f"recording:{ID}"),
        (f"x:https://x.com/kari_vakt/status/{ID}", f"x:{ID}"),
        ("facebook:1000_500001", "facebook:1000_500001"),
        ("https://www.facebook.com/permalink.php?story_fbid=500001&id=1000", "facebook:1000_500001"),
        ("https://www.facebook.com/permalink.php?story_fbid=500001&id=1000&comment_id=7", "facebook:500001_7"),
        ("https://m.facebook.com/fjordbysyk/posts/500001?comment_id=7&reply_comment_id=8", "facebook:500001_8"),
        (
            "https://social.example/users/kari_vakt/statuses/112233",
            "mastodon:https://social.example/users/kari_vakt/statuses/112233",
        ),
    ],
)
def test_an_id_is_understood_however_it_is_written_and_no_name_is_left_in_it(typed: str, meant: str) -> None:
    assert post_id(typed) == meant


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "is empty"),
        (" '' ", "is empty"),
        ("1.90E+18", "spreadsheet"),
        ("1,90612E+18", "spreadsheet"),
        ("1.906e18", "spreadsheet"),
        ("1906123456789012345.0", "spreadsheet"),
        ("1 906 123 456 789 012 345", "spreadsheet"),
        ("1.906.123.456.789.012.345", "spreadsheet"),
        ("x:1.90E+18", "spreadsheet"),
        ("recording:1.90E+18", "spreadsheet"),
        ("kari_vakt", "no post id"),
        ("@kari_vakt", "no post id"),
        ("nosuch", "no post id"),
        ("0", "no post id"),
        ("01906", "no post id"),
        ("-17", "no post id"),
        ("+17", "no post id"),
        (f"{ID}x", "no post id"),
        ("１９０６", "no post id"),
        (f"{ID}{ID}", "more digits"),
        ("9999999999999999999", "more digits"),
        ("x:p17", "no post id"),
        (f"recrding:{ID}", "known: bluesky, facebook, feeds, instagram, linkedin, mastodon, recording, x, youtube"),
        (f"twitter:{ID}", "known: bluesky, facebook, feeds, instagram, linkedin, mastodon, recording, x, youtube"),
        (f"brann-0:x:{ID}", "known: bluesky, facebook, feeds, instagram, linkedin, mastodon, recording, x, youtube"),
        ("recording: ", "no post id"),
        ("recording:hei du", "no post id"),
        ("https://x.com/kari_vakt", "to no post"),
        ("https://x.com/kari_vakt/status/", "no post id"),
        ("https://x.com/kari_vakt/status/1.90E+18", "spreadsheet"),
        (f"https://x.com/search?q=/kari_vakt/status/{ID}", "to no post"),
        ("https://t.co/Ab3dEf9h1", "to no post"),
        ("https://social.example/@kari_vakt/112233445566", "write the post's uri"),
        ("https://social.example/@kari_vakt@annet.example/112233", "write the post's uri"),
        ("https://bsky.app/profile/kari.example/post/3kabc", "by a handle"),
    ],
)
def test_what_is_no_id_is_refused_with_what_to_write_and_without_what_was_typed(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        post_id(typed)
    assert "x:ID" in str(refused.value)
    assert "kari" not in str(refused.value)


def test_every_id_is_checked_and_each_that_is_none_is_named_by_its_place() -> None:
    with pytest.raises(UsageError) as refused:
        post_ids([ID, "1.90E+18", f"x:{ID}", "kari_vakt"], lambda text: False)
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == ["ID 2", "ID 4"]
    assert post_ids([ID, f"x:{ID}", f"https://x.com/kari/status/{ID}"], lambda text: False) == [ID, f"x:{ID}"]
    assert post_ids([" p17 ", ID], lambda text: text == "p17") == ["p17", ID]


def test_a_post_of_x_is_found_live_and_played() -> None:
    assert ids_meant(["17", "x:18", "recording:p1"]) == ["17", "x:18", "recording:p1", "recording:18"]


def test_what_a_spreadsheet_rounded_is_known_by_its_zeros() -> None:
    assert looks_rounded("x:1906123456789010000")
    assert not looks_rounded("x:1906123456789012345")
    assert not looks_rounded("190000")
