"""What the live tail shows and what a replay needs: kept with each refusal, and a glimpse of calls that came twice."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cdp', '0007_rate_bucket'),
    ]

    operations = [
        migrations.CreateModel(
            name='RepeatedCall',
            fields=[
                ('repeat_no', models.BigAutoField(primary_key=True, serialize=False)),
                ('source_no', models.BigIntegerField()),
                ('kind', models.CharField(max_length=10)),
                ('name', models.CharField(max_length=200)),
                ('person', models.CharField(max_length=80)),
                ('received_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name='reject',
            name='around_encrypted',
            field=models.BinaryField(help_text='What the request said for all its calls: kind, sentAt, context. A replay needs it.', null=True),
        ),
        migrations.AddField(
            model_name='reject',
            name='holds_key',
            field=models.BooleanField(db_default=False, help_text='Refused after it had been accepted: its message id counts as seen.'),
        ),
        migrations.AddField(
            model_name='reject',
            name='is_kept',
            field=models.BooleanField(db_default=False, help_text='The rest of the call was taken.'),
        ),
        migrations.AddField(
            model_name='reject',
            name='is_whole',
            field=models.BooleanField(db_default=False, help_text='The sample is the call as it came, uncut, so it can be sent through the checks again.'),
        ),
        migrations.AddField(
            model_name='reject',
            name='kind',
            field=models.CharField(blank=True, db_default='', max_length=10),
        ),
        migrations.AddField(
            model_name='reject',
            name='name',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='reject',
            name='outcome',
            field=models.CharField(blank=True, choices=[('accepted', 'accepted'), ('duplicate', 'duplicate'), ('refused', 'refused')], db_default='', help_text='What the last replay came to.', max_length=10),
        ),
        migrations.AddField(
            model_name='reject',
            name='person',
            field=models.CharField(blank=True, db_default='', max_length=80),
        ),
        migrations.AddField(
            model_name='reject',
            name='replayed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='reject',
            index=models.Index(fields=['source', '-reject_no'], name='rejects_by_source'),
        ),
        migrations.AddIndex(
            model_name='repeatedcall',
            index=models.Index(fields=['source_no', '-repeat_no'], name='repeats_by_source'),
        ),
        migrations.RunSQL("ALTER TABLE cdp_repeatedcall SET UNLOGGED", "ALTER TABLE cdp_repeatedcall SET LOGGED"),
    ]
